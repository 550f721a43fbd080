"""Waiting for results: one poller for all who wait in an event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from uuid import UUID

from headrace.errors import LedgerUnavailable, UsageError
from headrace.model.job import Job

_SHORTEST = 0.02
_LONGEST = 1.0
_GROWTH = 1.5
_Waiter = asyncio.Future[Job]


class Results:
    """Asks for the outcomes of all awaited jobs in one query, less and less often.

    A new waiter and a poke make it ask at once.
    """

    def __init__(self, outcomes: Callable[[Sequence[UUID]], Awaitable[list[Job]]]) -> None:
        self._outcomes = outcomes
        self._waiters: dict[UUID, set[_Waiter]] = {}
        self._nudge = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None

    async def wait(self, job_id: UUID, seconds: float) -> Job | None:
        """The job once it is over, or None when the time is up.

        Raises:
            HeadraceError: what the ledger said, other than that it is away.
        """
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(job_id, set()).add(waiter)
        self._nudge.set()
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(), name="headrace results")
        try:
            async with asyncio.timeout(seconds):
                return await waiter
        except TimeoutError:
            return None
        finally:
            self._forget(job_id, waiter)

    def poke(self, ids: Iterable[UUID]) -> None:
        """Tell that jobs were settled: who waits for one of them learns it at once."""
        if self._waiters and not self._waiters.keys().isdisjoint(ids):
            self._nudge.set()

    async def close(self) -> None:
        """Stop asking.

        Who still waits is told so by a UsageError.
        """
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.wait([self._poller])
        stopped = UsageError("the application was stopped while a result was awaited; ask again")
        self._fail(list(self._waiters), stopped)

    async def _poll(self) -> None:
        pause = _SHORTEST
        while self._waiters:
            if self._nudge.is_set():
                pause = _SHORTEST
                self._nudge.clear()
            await self._ask()
            try:
                async with asyncio.timeout(pause):
                    await self._nudge.wait()
            except TimeoutError:
                pause = min(pause * _GROWTH, _LONGEST)

    async def _ask(self) -> None:
        asked = list(self._waiters)
        try:
            over = await self._outcomes(asked)
        except LedgerUnavailable:
            return  # it may be back before the waiters' time is up
        except Exception as exc:  # noqa: BLE001 - handed to those who wait
            self._fail(asked, exc)
            return
        for job in over:
            for waiter in self._waiters.get(job.id, ()):
                if not waiter.done():
                    waiter.set_result(job)

    def _fail(self, ids: Iterable[UUID], exc: Exception) -> None:
        for job_id in ids:
            for waiter in self._waiters.get(job_id, ()):
                if not waiter.done():
                    waiter.set_exception(exc)

    def _forget(self, job_id: UUID, waiter: _Waiter) -> None:
        waiters = self._waiters[job_id]
        waiters.discard(waiter)
        if not waiters:
            del self._waiters[job_id]
