"""The engine that runs a job as it is enqueued, for tests of applications."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from headrace.engines.memory.book import Book
from headrace.engines.memory.engine import MemoryEngine
from headrace.model.job import Inserted, NewJob


class InlineEngine(MemoryEngine):
    """Keeps jobs in memory, and has those that are due run before `insert` returns.

    Jobs of a transaction (`tx`) wait: nobody tells of its commit.

    Args:
        book: of the jobs.
        run: runs what of these jobs is due.
    """

    def __init__(self, book: Book, run: Callable[[Sequence[UUID]], Awaitable[object]]) -> None:
        super().__init__(book)
        self._run = run

    async def insert(self, jobs: Sequence[NewJob], tx: object = None) -> list[Inserted]:
        """Insert jobs, all or none, and run them."""
        inserted = await super().insert(jobs, tx)
        if tx is None:
            await self._run([one.id for one in inserted if not one.duplicate])
        return inserted
