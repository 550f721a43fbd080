"""Jobs that wait for others, on PostgreSQL."""

import json
from collections.abc import Callable, Sequence
from uuid import UUID

from headrace.ledger.queries import Queries
from headrace.model.flow import Parent, Place
from headrace.model.job import Inserted
from headrace.model.links import Link
from headrace.model.state import State, Stored
from headrace.ports.link_ledger import Unblocked, Woken


class PostgresLinkLedger:
    """Lets go what waited, and tells of what ended."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._ended: Callable[[Sequence[UUID]], None] = _nobody
        self._came: Callable[[], None] = _nothing

    def listen(self, ended: Callable[[Sequence[UUID]], None], came: Callable[[], None]) -> None:
        """Call `ended` with jobs that ended in this process, and that others may wait for.

        And `came` where jobs that need seats were committed.
        """
        self._ended = ended
        self._came = came

    def tell(self, ids: Sequence[UUID] | None) -> None:
        """Tell that these have ended; None: no job that anybody waits for."""
        if ids:
            self._ended(ids)

    def tell_of(self, inserted: Sequence[Inserted]) -> None:
        """Tell that these were committed."""
        if any(one.seated for one in inserted):
            self._came()

    async def unblock(self, ids: Sequence[UUID] | None, n: int) -> Unblocked:
        """Let go what waited for up to `n` of these jobs; None: of those nobody has looked at."""
        given = None if ids is None else list(ids)
        (row,) = await self._queries.fetch("unblock", given, n)
        return Unblocked(row["released"] or (), row["queues"] or (), row["again"] or ())

    async def parents(self, job_id: UUID) -> list[Parent]:
        """The jobs that a job came after, in the order in which they were made."""
        return [
            Parent(
                id=row["id"],
                step=row["step"],
                task=row["task"],
                state=State(Stored(row["state"]).name.lower()),
                raw=row["result"],
                error=None if row["error"] is None else json.loads(row["error"]),
            )
            for row in await self._queries.fetch("parents", job_id)
        ]

    async def place(self, job_id: UUID) -> Place:
        """Where a job stands among others."""
        rows = await self._queries.fetch("place", job_id)
        children = [Link(row["child"], row["on_failure"]) for row in rows if row["child"]]
        flows = [(row["flow"], row["name"]) for row in rows if row["flow"]]
        return Place(tuple(children), flows[0] if flows else None)

    async def woken(self) -> Woken:
        """Whether there are jobs that nobody has looked at, or when."""
        (row,) = await self._queries.fetch("woken")
        return Woken(row["woken"], row["next_due"])


def _nobody(_: Sequence[UUID]) -> None:
    pass


def _nothing() -> None:
    pass
