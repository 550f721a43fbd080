"""The rigs of our own engines."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from headrace.engines.ledgered import LedgeredEngine
from headrace.ledger.inspector import LedgerInspector
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.queries import Queries
from headrace.model.entry import Capabilities
from headrace.ports.inspector import Inspector
from headrace.relay.reaper import LEASE, Reaper
from headrace.testing.engines.rig import Rig

_MOVES = (
    "UPDATE headrace.job SET run_at = run_at - $1 * interval '1 second' WHERE state = 0",
    "UPDATE headrace.idempotency SET until = until - $1 * interval '1 second'",
)


class Direct:
    """PostgreSQL alone: time passes by moving due times, and leases end on the reaper's clock."""

    capabilities = Capabilities()

    def __init__(self, url: str, engine: LedgeredEngine, queries: Queries) -> None:
        self.inspector: Inspector = LedgerInspector(queries)
        self._url = url
        self._engine = engine
        self._queries = queries
        self._now = 0.0
        self._reaper = Reaper(engine.ledger, clock=lambda: self._now)

    async def pass_time(self, seconds: float) -> None:
        """Move what is ahead towards now."""
        async with self._queries.transaction() as connection:
            for move in _MOVES:
                await connection.execute(move, seconds)

    async def carry(self) -> None:
        """Takes read the ledger."""

    async def bury(self, worker: UUID, living: Collection[UUID]) -> None:
        """Let the reaper watch a lease in which all but this worker beat."""
        assert worker not in living
        await self._reaper.poll()
        for _ in range(5):
            self._now += LEASE / 4
            for other in living:
                await self._engine.beat(other, [], 0)
            await self._reaper.poll()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of its own."""
        connection = await asyncpg.connect(self._url)
        try:
            yield connection
        finally:
            await connection.close()


@asynccontextmanager
async def direct_rig(url: str) -> AsyncIterator[Rig]:
    """A rig in direct mode on a migrated database of its own."""
    engine = LedgeredEngine(PostgresLedger(url))
    await engine.start()
    try:
        async with Queries(url) as queries:
            rig = Rig(engine, Direct(url, engine, queries))
            await rig.begin()
            yield rig
    finally:
        await engine.stop()
