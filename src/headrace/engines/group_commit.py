"""Group commit: concurrent inserts of one process travel in one statement and one commit."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from headrace.errors import HeadraceError, LedgerFull, LedgerUnavailable, OutcomeUnknown
from headrace.model.job import Inserted, NewJob
from headrace.model.promise import Promises

_BATCH = 1000
_FLIGHTS = 2  # while one commit waits for the disk, the next batch is on its way
_PATIENCE = 10.0
_Waiter = tuple[Sequence[NewJob], "asyncio.Future[list[Inserted]]"]


class GroupCommit:
    """Collects what callers insert while earlier batches are under way.

    A caller that is cancelled while it waits may still find its jobs inserted: they travel with
    those of others.
    """

    def __init__(self, insert: Callable[[Sequence[NewJob]], Awaitable[list[Inserted]]]) -> None:
        self._insert = insert
        self._waiting: deque[_Waiter] = deque()
        self._flights: set[asyncio.Task[None]] = set()

    async def insert(self, jobs: Sequence[NewJob]) -> list[Inserted]:
        """Insert jobs, all or none; returns once they are committed.

        Raises:
            LedgerUnavailable: the ledger is away; nothing was sent.
            LedgerFull: it has no room for them; they are not there.
            OutcomeUnknown: the ledger went away while it was asked; the jobs may be there.
            HeadraceError: what the ledger says against these jobs alone.
        """
        if not jobs:
            return []
        if any(job.may_wait for job in jobs):
            # A key may wait for another transaction; nobody else shall wait with it.
            return await self._insert_patiently(jobs)
        waiter: asyncio.Future[list[Inserted]] = asyncio.get_running_loop().create_future()
        self._waiting.append((jobs, waiter))
        if len(self._waiting) == 1:
            # Not before all who call in this turn of the loop are aboard.
            asyncio.get_running_loop().call_soon(self._depart)
        return await waiter

    async def close(self) -> None:
        """Wait for the batches under way."""
        while self._flights:
            await asyncio.wait(self._flights)

    def _depart(self) -> None:
        while self._waiting and len(self._flights) < _FLIGHTS:
            flight = asyncio.create_task(self._fly(self._board()))
            self._flights.add(flight)
            flight.add_done_callback(self._land)

    def _board(self) -> list[_Waiter]:
        batch: list[_Waiter] = []
        size = 0
        while self._waiting and (not batch or size + len(self._waiting[0][0]) <= _BATCH):
            batch.append(self._waiting.popleft())
            size += len(batch[-1][0])
        return batch

    def _land(self, flight: "asyncio.Task[None]") -> None:
        self._flights.discard(flight)
        self._depart()

    async def _fly(self, batch: list[_Waiter]) -> None:
        """Insert a batch; one that is refused is split until the culprit stands alone."""
        try:
            inserted = await self._insert_patiently([job for jobs, _ in batch for job in jobs])
        except HeadraceError as exc:
            if len(batch) == 1 or isinstance(exc, LedgerUnavailable | OutcomeUnknown):
                _fail(batch, exc)
                return
            middle = len(batch) // 2
            try:
                await self._fly(batch[:middle])
            finally:  # a defect in one half must not leave the other half's callers waiting
                await self._fly(batch[middle:])
        except BaseException as exc:
            _fail(batch, exc)
            raise
        else:
            _hand_out(batch, inserted)

    async def _insert_patiently(self, jobs: Sequence[NewJob]) -> list[Inserted]:
        """Repeat while the ledger is away: the ids make a repetition harmless."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE
        pause = 0.05
        in_doubt = False
        while True:
            try:
                return await self._insert(jobs)
            except LedgerUnavailable as exc:
                if isinstance(exc, LedgerFull) and not in_doubt:
                    raise
                in_doubt = True
                if loop.time() + pause > deadline:
                    raise OutcomeUnknown(
                        f"the ledger went away for {_PATIENCE:.0f} s while job {jobs[0].id} was "
                        f"inserted ({exc}); it may be there: ask for it by its id before you "
                        "enqueue again, or use an idempotency_key"
                    ) from exc
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)


class GroupCommits:
    """Two group commits: what need not be on disk shall not wait for it with the rest.

    Args:
        insert: inserts and commits jobs, `durable` or not.
    """

    def __init__(self, insert: Callable[..., Awaitable[list[Inserted]]]) -> None:
        self._durable = GroupCommit(partial(insert, durable=True))
        self._late = GroupCommit(partial(insert, durable=False))

    async def insert(self, jobs: Sequence[NewJob], promises: Promises) -> list[Inserted]:
        """Insert jobs, all or none, as `GroupCommit.insert`; some durable, all durable."""
        waits = promises.wait_for_the_disk(job.queue for job in jobs)
        return await (self._durable if waits else self._late).insert(jobs)

    async def close(self) -> None:
        """Wait for the batches under way."""
        await self._durable.close()
        await self._late.close()


def _hand_out(batch: list[_Waiter], inserted: list[Inserted]) -> None:
    start = 0
    for jobs, waiter in batch:
        if not waiter.done():
            waiter.set_result(inserted[start : start + len(jobs)])
        start += len(jobs)


def _fail(batch: list[_Waiter], exc: BaseException) -> None:
    for _, waiter in batch:
        if not waiter.done():
            waiter.set_exception(exc)
