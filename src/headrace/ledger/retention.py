"""Upkeep of the ledger: partitions ahead, old days retired, expired keys, folded counters."""

import logging
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

import asyncpg

from headrace.errors import LedgerBusy
from headrace.ledger.queries import Connection, Queries
from headrace.ledger.statements import statement
from headrace.model.stream import LIFE

_log = logging.getLogger("headrace.ledger")

RETENTION = timedelta(days=7)
AHEAD = 3
_STAYING = 10_000  # rows that move under the lock of a detachment: some hundred milliseconds
_PATIENCE = "200ms"  # everybody queues behind a waiting lock, so it does not wait long
_LONGEST = 3600.0  # seconds for a statement that reads all jobs of a day from a disk
_STEP = 1000


@dataclass(frozen=True, slots=True)
class Retired:
    """A day that was retired.

    Attributes:
        moved: rows that moved to DEFAULT: live, dead or not over for long enough; None where
            there were too many: the day stays as it is.
        dropped: jobs that are gone, with their history.
    """

    day: date
    moved: int | None
    dropped: int


class LedgerKeeper:
    """Keeps the ledger small and its partitions ready. Any number of keepers is correct.

    Args:
        retention: how long completed and cancelled jobs are kept once they are over. Dead ones
            are kept until somebody replays, deletes or cleans them.
        staying: how many rows a retired day may move to DEFAULT.
    """

    def __init__(
        self, queries: Queries, *, retention: timedelta = RETENTION, staying: int = _STAYING
    ) -> None:
        self._queries = queries
        self._keep = retention.total_seconds()
        self._staying = staying

    async def maintain(self) -> None:
        """One round of everything. What cannot get its lock in time is left for the next round."""
        await self.fold_counters()
        await self.forget_workers()
        await self.prune_keys()
        await self.prune_windows()
        await self.sweep_default()
        await self.prune_links()
        await self._queries.fetch("prune_lines")
        await self.prune_streams()
        try:
            await self.add_partitions()
            await self.retire()
        except LedgerBusy as exc:
            _log.info("partitions are left for the next round: %s", exc)

    async def fold_counters(self) -> None:
        """Add the deltas of the counters to their totals."""
        await self._queries.fetch("fold_counters")

    async def forget_workers(self) -> None:
        """Drop the rows of workers that were reaped a day ago."""
        await self._queries.fetch("forget_workers")

    async def prune_keys(self) -> int:
        """Delete unique keys that are over; returns how many."""
        pruned = 0
        for keys in ("prune_keys", "prune_spent_keys"):
            while rows := await self._queries.fetch(keys, _STEP):
                pruned += len(rows)
        return pruned

    async def prune_windows(self) -> int:
        """Forget windows of rate limits that nobody used for a whole span; returns how many."""
        pruned = 0
        while rows := await self._queries.fetch("prune_windows", _STEP):
            pruned += len(rows)
        return pruned

    async def prune_links(self) -> int:
        """Forget edges and flows of jobs that are gone; returns how many."""
        pruned = 0
        while rows := await self._queries.fetch("prune_links", _STEP):
            pruned += len(rows)
        return pruned

    async def prune_streams(self) -> int:
        """Forget what streams have kept for a day, and empty streams; returns how many events."""
        pruned = 0
        while rows := await self._queries.fetch("prune_streams", _STEP, LIFE):
            pruned += len(rows)
        return pruned

    async def sweep_default(self) -> int:
        """Delete expired jobs from the DEFAULT partition; returns how many."""
        swept = 0
        last: UUID | None = UUID(int=0)
        while last is not None:
            (row,) = await self._queries.fetch("sweep_default", last, _STEP, self._keep)
            swept += row["gone"]
            last = row["last"]
        return swept

    async def add_partitions(self, ahead: int = AHEAD) -> list[date]:
        """Make the partitions of today and `ahead` days more; returns the days that were new.

        A day that already has rows in DEFAULT (nobody kept the ledger for days) stays there.

        Raises:
            LedgerBusy: a lock could not be had.
        """
        days = [row["day"] for row in await self._queries.fetch("days_missing", ahead)]
        return [day for day in days if await self._add(day)]

    async def _add(self, day: date) -> bool:
        async with self._queries.transaction(lock_timeout=_PATIENCE) as connection:
            if not await _alone(connection):
                return False
            try:
                async with connection.transaction():
                    added = await connection.fetchval(statement("add_partition"), day)
            except asyncpg.CheckViolationError:
                return False  # its first row came into DEFAULT just now
        return bool(added)

    async def retire(self) -> list[Retired]:
        """Retire the days that are over for longer than the retention.

        Raises:
            LedgerBusy: a lock could not be had; days before it are done.
        """
        due = await self._queries.fetch("days_retired", self._keep)
        done = [await self._retire(row["day"], attached=row["attached"]) for row in due]
        return [retired for retired in done if retired is not None]

    async def _retire(self, day: date, *, attached: bool) -> Retired | None:
        moved: int | None = 0
        if attached:
            async with self._queries.transaction(lock_timeout=_PATIENCE) as connection:
                if not await _alone(connection):
                    return None
                moved = await connection.fetchval(
                    statement("retire_partition"),
                    day,
                    self._keep,
                    self._staying,
                    timeout=_LONGEST,
                )
            if moved is None:
                _log.warning(
                    "the jobs of %s stay: more than %d are live, dead or not over for long; "
                    "replay or clean dead ones",
                    day,
                    self._staying,
                )
                return Retired(day, None, 0)
        return Retired(day, moved, await self._drop(day))

    async def _drop(self, day: date) -> int:
        async with self._queries.transaction(lock_timeout=_PATIENCE) as connection:
            if not await _alone(connection):
                return 0
            dropped: int = await connection.fetchval(
                statement("drop_retired"), day, timeout=_LONGEST
            )
        return dropped


async def _alone(connection: "Connection[asyncpg.Record]") -> bool:
    alone: bool = await connection.fetchval(statement("lock_upkeep"))
    return alone
