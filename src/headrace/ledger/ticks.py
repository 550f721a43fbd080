"""What the ledger does for a scheduler: one method a statement of sql/."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import msgspec

from headrace.ledger.queries import Queries
from headrace.ledger.rows import Row, tick_document
from headrace.model.job import Inserted
from headrace.model.schedule import DueSchedule, Move
from headrace.ports.bell import Bell
from headrace.ports.ticks import DueSchedules

_CHANGED = "/schedules"  # what sql/schedule_changed rings; no queue has such a name


class PostgresTicks:
    """Due schedules and the jobs of their ticks, in PostgreSQL.

    Args:
        queries: the statements.
        bell: what tells of changes.
    """

    def __init__(self, queries: Queries, bell: Bell) -> None:
        self._queries = queries
        self._bell = bell
        self._ear: UUID = uuid4()

    async def due(self, n: int) -> DueSchedules:
        """Up to `n` schedules whose time has come."""
        rows = await self._queries.fetch("due_schedules", n)
        found = [_due(row) for row in rows if row["name"] is not None]
        return DueSchedules(found, rows[0]["wait"])

    async def make(self, moves: Sequence[Move]) -> Mapping[str, list[Inserted]]:
        """Insert the jobs of ticks and say how far their schedules are, both or neither."""
        document = [_move(place, move) for place, move in enumerate(moves)]
        rows = await self._queries.fetch("make_ticks", msgspec.json.encode(document).decode())
        made: dict[str, dict[int, Inserted]] = defaultdict(dict)
        for row in rows:
            jobs = made[row["name"]]
            if row["place"] is not None:
                jobs[row["place"]] = Inserted(
                    row["job_id"], duplicate=row["duplicate"], blocked=row["blocked"]
                )
        return {name: [jobs[place] for place in sorted(jobs)] for name, jobs in made.items()}

    async def hold(self, schedule: DueSchedule, seconds: float, error: str) -> None:
        """Its jobs are refused: look at it again later."""
        await self._queries.fetch("hold_schedule", schedule.name, schedule.version, seconds, error)

    async def heard(self, seconds: float) -> bool:
        """Wait until a schedule was changed; False at once where nothing tells of it."""
        return await self._bell.wait(self._ear, [_CHANGED], seconds) is not None


def _due(row: Row) -> DueSchedule:
    return DueSchedule(
        name=row["name"],
        version=row["version"],
        cursor=row["cursor"],
        made=row["made"],
        timing=row["timing"],
        job=row["job"],
        now=row["now"],
    )


def _move(place: int, move: Move) -> dict[str, Any]:
    return {
        "place": place,
        "name": move.schedule.name,
        "version": move.schedule.version,
        "cursor": move.schedule.cursor,
        "upto": move.upto,
        "due_at": move.then,
        "last_tick": move.ticks[-1] if move.ticks else None,
        "missed": move.missed,
        "docs": [tick_document(job) for job in move.jobs],
    }
