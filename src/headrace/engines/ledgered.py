"""The flagship engine: the ledger decides; without a lane it dispatches as well (direct mode)."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from uuid import UUID

from headrace.engines.group_commit import GroupCommit
from headrace.model.job import Beat, Delivery, Inserted, Job, NewJob, Settlement
from headrace.model.priority import STRIDES, Shares
from headrace.model.task import Declaration
from headrace.ports.engine import Transaction
from headrace.ports.ledger import Ledger


class LedgeredEngine:
    """Jobs in a ledger, dispatched straight from it.

    Attributes:
        ledger: where the jobs are; the services beside the workers maintain it.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._commits = GroupCommit(ledger.insert)
        self._shares: dict[tuple[UUID, str], Shares] = {}

    async def start(self) -> None:
        """Connect."""
        await self.ledger.open()

    async def stop(self) -> None:
        """Wait for inserts under way and disconnect."""
        await self._commits.close()
        await self.ledger.close()

    async def declare(self, tasks: Sequence[Declaration], queues: Sequence[str] = ()) -> None:
        """Make tasks and queues known."""
        await self.ledger.declare(tasks, queues)

    def new_id(self) -> UUID:
        """An id for a job, on the ledger's clock."""
        return self.ledger.new_id()

    async def insert(self, jobs: Sequence[NewJob], tx: object = None) -> list[Inserted]:
        """Insert jobs: committed when it returns, or in the caller's transaction."""
        if tx is not None:
            return await self.ledger.insert_in(tx, jobs)
        return await self._commits.insert(jobs)

    async def register(self, worker: UUID, host: str, pid: int, queues: Sequence[str]) -> None:
        """Begin a worker's lease."""
        await self.ledger.register(worker, host, pid, queues)

    async def take(self, worker: UUID, queue: str, call: int, n: int) -> list[Delivery]:
        """Claim up to `n` due jobs."""
        shares = self._shares.setdefault((worker, queue), Shares())
        taken = await self.ledger.claim(worker, queue, call, n, (shares.passes(), STRIDES))
        shares.took(delivery.priority for delivery in taken)
        return taken

    async def settle(self, worker: UUID, settlements: Sequence[Settlement]) -> set[UUID]:
        """Write outcomes, fenced by (id, gen)."""
        return await self.ledger.settle(worker, settlements)

    async def release(self, worker: UUID, deliveries: Sequence[Delivery]) -> None:
        """Give back jobs that have not started."""
        await self.ledger.release(worker, deliveries)

    async def extend(self, deliveries: Sequence[Delivery]) -> set[UUID]:
        """The ids among these that may go on."""
        return await self.ledger.extend(deliveries)

    async def beat(self, worker: UUID, hand: Sequence[Delivery], answered: int) -> Beat:
        """Prolong the worker's lease."""
        return await self.ledger.beat(worker, hand, answered)

    async def leave(self, worker: UUID) -> None:
        """End the worker's lease."""
        await self.ledger.leave(worker)

    def transaction(self, session: object) -> AbstractAsyncContextManager[Transaction]:
        """A transaction in which a handler's writes and its completion commit together."""
        return self.ledger.transaction(session)

    async def outcomes(self, ids: Sequence[UUID]) -> list[Job]:
        """The jobs among these that are over."""
        return await self.ledger.outcomes(ids)

    async def get(self, ids: Sequence[UUID]) -> list[Job]:
        """Jobs as they are now."""
        return await self.ledger.get(ids)
