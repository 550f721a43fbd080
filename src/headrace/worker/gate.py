"""The gate before the slots: jobs under rate limits pass it when they may start."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from headrace.errors import LedgerError, LedgerUnavailable
from headrace.model.job import Delivery
from headrace.model.rate import Admission, Ask, RateLimit, Use
from headrace.model.uses import uses_of
from headrace.ports.limiter import Limiter
from headrace.task import Task

_log = logging.getLogger("headrace.worker")
_BATCH = 500
T = TypeVar("T")


class Gate:
    """Asks for all who wait at once, just before they start: what is held ahead takes no start.

    Args:
        limiter: who decides.
        tasks: by name.
        of_queue: the limits of a queue that has any.
    """

    def __init__(
        self,
        limiter: Callable[[], Limiter],
        tasks: Mapping[str, Task[Any, Any]],
        of_queue: Mapping[str, tuple[RateLimit, ...]],
    ) -> None:
        self._limiter = limiter
        self._tasks = tasks
        self._of_queue = of_queue
        self._waiting: list[tuple[Ask, asyncio.Future[Admission | None]]] = []
        self._asking: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def stands_anywhere(self) -> bool:
        """Whether any job has to pass it."""
        return bool(self._of_queue) or any(task.limits for task in self._tasks.values())

    def stands_before(self, delivery: Delivery) -> bool:
        """Whether the job has to pass it."""
        task = self._tasks.get(delivery.task)
        return delivery.queue in self._of_queue or (task is not None and bool(task.limits))

    async def admits(self, delivery: Delivery) -> Admission | None:
        """What becomes of the job; None where nobody knows, and the worker is to give it back."""
        if self._closed:
            return None
        answer: asyncio.Future[Admission | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((Ask(delivery, self._uses(delivery)), answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await answer

    async def rest(self, delivery: Delivery, limit: str, duration: timedelta) -> None:
        """Let a limit of this job, or all of them, rest for a while: for all workers."""
        uses = [use for use in self._uses(delivery) if limit in ("", use.limit)]
        if not uses:
            _log.warning(
                "job %s is under no limit%s that could rest", delivery.id, limit and f' "{limit}"'
            )
            return
        try:
            await self._patiently(partial(self._limiter().rest, uses, duration))
        except LedgerError as exc:  # the job itself is put off all the same
            _log.error("the limits of job %s do not rest: %s", delivery.id, exc)

    async def close(self) -> None:
        """Keep nobody waiting for a ledger that is away."""
        self._closed = True
        if self._asking is not None:
            await asyncio.wait([self._asking])

    async def _ask(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # all whose slots become free in this turn go together
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            answers = await self._answers([ask for ask, _ in batch])
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():  # its slot was cancelled
                    future.set_result(answer)

    async def _answers(self, asks: list[Ask]) -> Sequence[Admission | None]:
        nothing = [None] * len(asks)
        try:
            return await self._patiently(partial(self._limiter().admit, asks)) or nothing
        except LedgerError as exc:
            _log.error("%d jobs under rate limits are given back: %s", len(asks), exc)
            return nothing

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """Repeat while the ledger is away; None once nobody may be kept waiting."""
        pause = 0.05
        while True:
            try:
                return await call()
            except LedgerUnavailable as exc:
                _log.warning("the rate limits wait for the ledger: %s", exc)
            if self._closed:
                return None
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)

    def _uses(self, delivery: Delivery) -> tuple[Use, ...]:
        task = self._tasks.get(delivery.task)
        limits = {one.name: one for one in self._of_queue.get(delivery.queue, ())}
        limits.update({one.name: one for one in task.limits} if task is not None else {})
        return uses_of(limits.values(), delivery, {} if task is None else task.defaults)
