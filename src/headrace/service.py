"""Background services: each is a loop that polls and says when it wants to poll again."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from headrace.errors import HeadraceError

_log = logging.getLogger("headrace.service")
_AFTER_ERROR = 1.0


class Loop:
    """Calls `poll` again and again until stopped.

    Args:
        name: for logs.
        poll: does one round; returns the seconds until the next one.

    An error of ours (PostgreSQL away, say) is logged once and the loop goes on a second later; any
    other error is a defect and ends the loop: `failed` is called with it.
    """

    def __init__(
        self,
        name: str,
        poll: Callable[[], Awaitable[float]],
        *,
        failed: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._name = name
        self._poll = poll
        self._failed = failed
        self._wanted = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running event loop. Starting twice is the same as once."""
        if self._task is None:
            self._stopping = False
            self._task = asyncio.create_task(self._run(), name=f"headrace:{self._name}")

    def wake(self) -> None:
        """Poll as soon as possible instead of after the delay."""
        self._wanted.set()

    async def stop(self) -> None:
        """Let the round under way finish, then end.

        A round is never cancelled: a statement cut off in the middle leaves its outcome unknown.
        """
        self._stopping = True
        self._wanted.set()
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait([task])

    async def _run(self) -> None:
        quiet = True
        while not self._stopping:
            try:
                delay = await self._poll()
                quiet = True
            except HeadraceError as exc:
                if quiet:
                    _log.warning("%s: %s; going on", self._name, exc)
                quiet = False
                delay = _AFTER_ERROR
            except Exception as exc:
                _log.exception("%s ended by a defect", self._name)
                if self._failed is not None:
                    self._failed(exc)
                raise
            await self._rest(delay)

    async def _rest(self, delay: float) -> None:
        if delay > 0 and not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._wanted.wait()
        self._wanted.clear()
        if delay <= 0:
            await asyncio.sleep(0)
