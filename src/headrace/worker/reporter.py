"""Tells an application's error hooks of failed attempts, beside the jobs."""

import asyncio
import contextvars
import inspect
import logging
from collections import deque
from collections.abc import Sequence
from functools import partial

from headrace.context import Context
from headrace.hooks import ErrorHook
from headrace.model.shown import words

_log = logging.getLogger("headrace.worker")
_MOST = 1_000
_PATIENCE = 10.0
_CLOSING = 5.0


class Reporter:
    """Calls the hooks one after the other, behind the settling; none of them can harm a job.

    A coroutine has ten seconds. Where errors come faster than hooks take them, the hooks miss some,
    which the log says.

    Args:
        hooks: what to call.
    """

    def __init__(self, hooks: Sequence[ErrorHook]) -> None:
        self._hooks = hooks
        self._waiting: deque[tuple[Context, BaseException, contextvars.Context]] = deque()
        self._telling: asyncio.Task[None] | None = None
        self._missed = 0

    def tell(self, ctx: Context, exc: BaseException) -> None:
        """Tell of an attempt that is over, soon, among the context variables of the caller."""
        if not self._hooks:
            return
        if len(self._waiting) >= _MOST:
            self._missed += 1
            return
        self._waiting.append((ctx, exc, contextvars.copy_context()))
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell_all(), name="headrace:error hooks")

    async def close(self) -> None:
        """Tell what is left, for a few seconds."""
        if self._telling is not None:
            await asyncio.wait({self._telling}, timeout=_CLOSING)
            self.abandon()

    def abandon(self) -> None:
        """Tell nothing more."""
        if self._telling is not None and not self._telling.done():
            _log.warning("%d failed attempts are not told to error hooks", len(self._waiting) + 1)
            self._telling.cancel()

    async def _tell_all(self) -> None:
        try:
            while self._waiting:
                ctx, exc, variables = self._waiting.popleft()
                for hook in self._hooks:
                    await self._call(hook, ctx, exc, variables)
                if self._missed and not self._waiting:
                    _log.warning("error hooks are slow: %d errors were not told", self._missed)
                    self._missed = 0
        finally:
            self._telling = None

    async def _call(
        self, hook: ErrorHook, ctx: Context, exc: BaseException, variables: contextvars.Context
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_PATIENCE):
                if inspect.iscoroutinefunction(hook):
                    await loop.create_task(hook(ctx, exc), context=variables)
                else:
                    await loop.run_in_executor(None, variables.run, partial(hook, ctx, exc))
        except Exception as broken:  # noqa: BLE001 - the user's can raise anything
            _log.error(
                "the error hook %s failed for job %s: %s",
                hook,
                ctx.job_id,
                words(broken),
                exc_info=broken,
            )
