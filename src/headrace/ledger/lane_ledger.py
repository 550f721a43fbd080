"""What the ledger does for the lane: one method a statement of sql/."""

import os
import socket
from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from headrace.ledger.queries import Queries
from headrace.ledger.rows import Row, as_headers, as_promises
from headrace.model.entry import Body, Cursor, LaneEntry, Lease, pack_body
from headrace.model.job import Delivery
from headrace.model.lane_view import LaneView, Mark, Mode
from headrace.ports.lane_ledger import Ahead, Claimed, QueueRow, Standing, Sweep, Token, Votes


class PostgresLaneLedger:
    """State of the lane, verification and repair, in PostgreSQL."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def view(self) -> LaneView:
        """How the lane is now."""
        (row,) = await self._queries.fetch("lane_view")
        return as_view(row)

    async def switch(
        self, epoch: int, mode: Mode, *, held: bool = False, voted: bool = False, above: int = 0
    ) -> LaneView | None:
        """Begin a new epoch in a mode; None if the epoch is another one by now."""
        rows = await self._queries.fetch("lane_switch", epoch, mode, held, voted, above)
        return as_view(rows[0]) if rows else None

    async def mark(self, epoch: int) -> LaneView | None:
        """Write down the next mark; None if no lane of this epoch gives out jobs."""
        rows = await self._queries.fetch("lane_mark", epoch)
        return as_view(rows[0]) if rows else None

    async def part(self, view: LaneView) -> LaneView | None:
        """Take a new identity; None if somebody was first."""
        rows = await self._queries.fetch("lane_part", view.epoch, view.ledger)
        return as_view(rows[0]) if rows else None

    async def fence(self, epoch: int, mode: Mode) -> LaneView | None:
        """Tell that the lane refuses earlier epochs."""
        rows = await self._queries.fetch("lane_fence", epoch, mode)
        return as_view(rows[0]) if rows else None

    async def longest_lease(self) -> float:
        """Seconds that some living worker may be silent; 0 where none lives."""
        (row,) = await self._queries.fetch("longest_lease")
        lease: float = row["lease"]
        return lease

    async def calm(self, epoch: int, *, agreed: bool = False) -> None:
        """Tell that nobody works under an earlier epoch any more, if all have `agreed`."""
        await self._queries.fetch("lane_calm", epoch, agreed)

    async def vote(self, worker: UUID) -> Votes:
        """Say that a worker cannot reach the lane; returns who else said so lately."""
        (row,) = await self._queries.fetch("vote", worker)
        return Votes(row["away"], row["living"])

    async def claim_known(
        self, worker: UUID, call: int, tokens: Sequence[Token], ahead: str | None = None
    ) -> Mapping[UUID, Claimed]:
        """Claim jobs that a lane gave."""
        rows = await self._queries.fetch("claim_known", worker, call, *_columns(tokens), ahead)
        return {row["id"]: Claimed(row["gen"], _bytes(row["payload"])) for row in rows}

    async def stale(self, tokens: Sequence[Token], ahead: Ahead | None = None) -> set[Token]:
        """Those that may not run."""
        taken = ahead or (None, None, None)
        ids, gens = _columns(tokens)
        ends = min(ids, default=None), max(ids, default=None)
        rows = await self._queries.fetch("stale", ids, gens, *taken, *ends)
        return {(row["id"], row["gen"]) for row in rows}

    async def misfits(self, tokens: Sequence[Token]) -> Mapping[Token, str]:
        """Those of these entries that a lane should not carry, and why."""
        rows = await self._queries.fetch("misfits", *_columns(tokens))
        return {(row["id"], row["gen"]): row["detail"] for row in rows}

    async def adopt(self, epoch: int, worker: UUID, hand: Sequence[Delivery]) -> set[Token]:
        """Own in the ledger what was taken from a lane that is off."""
        tokens = [one.token for one in hand]
        calls = [one.call for one in hand]
        rows = await self._queries.fetch("adopt", epoch, worker, *_columns(tokens), calls)
        return {(row["id"], row["gen"]) for row in rows}

    async def bump(self, epoch: int, leases: Sequence[Lease], error: str) -> None:
        """Take jobs from workers that hold them in the lane; `error` is that of a run cut short."""
        tokens = [(lease.id, lease.gen) for lease in leases]
        workers, calls = [one.worker for one in leases], [one.call for one in leases]
        await self._queries.fetch("bump", epoch, *_columns(tokens), workers, calls, error)

    async def standing(self, ids: Sequence[UUID], view: LaneView) -> Mapping[UUID, Standing]:
        """How the lane should have these jobs."""
        rows = await self._queries.fetch("standing_of", list(ids))
        return {
            row["id"]: Standing(row["gen"], as_entry(row, view) if row["waits"] else None)
            for row in rows
        }

    async def untold(self, n: int) -> list[UUID]:
        """Up to `n` jobs that ended while the lane could not be told."""
        return [row["job_id"] for row in await self._queries.fetch("untold", n)]

    async def told(self, ids: Sequence[UUID]) -> None:
        """The lane agrees about these jobs again."""
        await self._queries.fetch("told", list(ids))

    async def snapshot(self) -> str:
        """From where the next sweep reads."""
        (row,) = await self._queries.fetch("snapshot")
        snapshot: str = row["snapshot"]
        return snapshot

    async def sweep(self, snapshot: str, view: LaneView, horizon: float, n: int) -> Sweep:
        """What was committed since a snapshot and is due soon."""
        rows = await self._queries.fetch("sweep", snapshot, horizon, n)
        entries = [as_entry(row, view) for row in rows if row["id"] is not None]
        return Sweep(rows[0]["snapshot"], entries)

    async def sweep_pushed(
        self, earlier: str, later: str, view: LaneView, horizon: float, n: int
    ) -> list[LaneEntry]:
        """What was committed between two snapshots, to be pushed by its producer, and waits."""
        rows = await self._queries.fetch("sweep_pushed", earlier, later, horizon, n)
        return [as_entry(row, view) for row in rows]

    async def walk(
        self, queue: QueueRow, level: int, after: Cursor, view: LaneView, horizon: float, n: int
    ) -> list[LaneEntry]:
        """Waiting jobs of a queue's level in their order, after a position."""
        rows = await self._queries.fetch(
            "walk", queue.id, level, after.run_at, after.id, horizon, n
        )
        return [as_entry(row, view) for row in rows]

    async def waiting_levels(self, horizon: float) -> Mapping[int, list[int]]:
        """Where jobs wait that are due soon."""
        levels: defaultdict[int, list[int]] = defaultdict(list)
        for row in await self._queries.fetch("waiting_levels", horizon):
            levels[row["queue_id"]].append(row["priority"])
        return levels

    async def queues(self) -> list[QueueRow]:
        """Every queue."""
        rows = await self._queries.fetch("queue_rows")
        return [QueueRow(row["id"], row["name"], row["paused"]) for row in rows]

    async def lead(self, role: str, holder: UUID, seconds: float) -> bool:
        """Take or renew a role that only one needs to have."""
        here = socket.gethostname(), os.getpid()
        return bool(await self._queries.fetch("lead", role, holder, seconds, *here))


def as_view(row: Row) -> LaneView:
    """A row of lane_view.sql and its like."""
    fence = row["fence"]
    return LaneView(
        epoch=row["epoch"],
        mode=Mode(row["mode"]),
        held=row["held"],
        calm=row["calm"],
        fence=None if fence is None else int(fence),
        ledger=row["ledger"],
        mark=Mark(row["tide"], row["mark"]),
        voted=row["voted"],
        promises=as_promises(row["promises"]),
    )


def as_entry(row: Row, view: LaneView) -> LaneEntry:
    """A waiting row as the lane should have it; always flagged: we did not commit it (A3)."""
    return LaneEntry(
        id=row["id"],
        gen=row["gen"],
        queue=row["queue"],
        priority=row["priority"],
        body=pack_body(
            Body(
                row["task"],
                row["payload"].encode(),
                row["failures"],
                row["crashes"],
                row["max_attempts"],
                row["tenant"],
                row["rerun_on_crash"],
                as_headers(row["headers"]),
            )
        ),
        delay=row["delay"],
        flagged=True,
        awaited=row["young"],
        clear=view.clears(int(row["xid"])),
        run_at=row["run_at"],
    )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _columns(tokens: Sequence[Token]) -> tuple[list[UUID], list[int]]:
    return [job_id for job_id, _ in tokens], [gen for _, gen in tokens]
