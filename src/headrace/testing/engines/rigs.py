"""The rigs of our own engines."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from uuid import UUID

import asyncpg
from redis.asyncio import Redis

from headrace.engines.lane_inspector import LaneInspector
from headrace.engines.ledgered import LedgeredEngine
from headrace.engines.memory.book import Book
from headrace.engines.memory.engine import MemoryEngine
from headrace.lanes.redis.keys import Keys
from headrace.lanes.redis.lane import RedisLane
from headrace.ledger.inspector import LedgerInspector
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.queries import Queries
from headrace.model.entry import Capabilities
from headrace.model.lane_view import Mode
from headrace.ports.inspector import Inspector
from headrace.ports.lane import Lane
from headrace.relay.lane_reaper import LaneReaper
from headrace.relay.reaper import LEASE, Reaper
from headrace.relay.relay import HORIZON, Relay
from headrace.relay.walk import Walk
from headrace.testing.engines.rig import Rig

_MOVE = "UPDATE headrace.job SET run_at = run_at - $1 * interval '1 second' WHERE state = "
_MOVES = (
    f"{_MOVE} 0",
    f"{_MOVE} 1 AND links >= 2",  # those that need seats, which none has that is not due
    "UPDATE headrace.idempotency SET until = until - $1 * interval '1 second'",
)


class Direct:
    """PostgreSQL alone: time passes by moving due times, and leases end on the reaper's clock."""

    capabilities: Capabilities = Capabilities()

    def __init__(self, url: str, engine: LedgeredEngine, queries: Queries) -> None:
        ledger = LedgerInspector(queries)
        self.inspector: Inspector = LaneInspector(ledger, engine.ledger.lanes, engine.lane)
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

    async def lose_lane(self) -> None:
        """There is none."""

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


class Hybrid(Direct):
    """PostgreSQL and a lane: time passes in both, and the relay's parts carry when they are told.

    What is due is carried by a walk of all queues, which finds whatever the tests did to them.
    """

    def __init__(
        self,
        url: str,
        engine: LedgeredEngine,
        queries: Queries,
        lane: Lane,
        pass_in_lane: Callable[[float], Awaitable[None]],
        erase_lane: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(url, engine, queries)
        self.capabilities: Capabilities = lane.capabilities
        self._lane = lane
        self._pass_in_lane = pass_in_lane
        self._erase_lane = erase_lane
        self._relay = Relay(engine.ledger.lanes, lane, grace=0.0)
        self._lane_reaper = LaneReaper(engine.ledger.lanes, lane)

    async def open_lane(self, above: int = 0) -> None:
        """Let the relay open the lane, under a later epoch."""
        while self._engine.view.mode is not Mode.HYBRID or self._engine.view.epoch <= above:
            await self._relay.poll()
            self._engine.heed(await self._engine.ledger.lanes.view())

    async def lose_lane(self) -> None:
        """Let the relay find an empty server."""
        await self._erase_lane()
        await self.open_lane(above=self._engine.view.epoch)

    async def pass_time(self, seconds: float) -> None:
        """Let the lane's clock go on, too."""
        await super().pass_time(seconds)
        await self._pass_in_lane(seconds)

    async def carry(self) -> None:
        """Reap and walk until nothing is left to do."""
        view = self._engine.view
        while await self._lane_reaper.round(view):
            pass
        walk = Walk(self._engine.ledger.lanes, self._lane, horizon=HORIZON)
        queues = await self._engine.ledger.lanes.queues()
        while await walk.round(view, queues):
            pass

    async def bury(self, worker: UUID, living: Collection[UUID]) -> None:
        """Let both reapers watch a lease in which all but this worker beat."""
        assert worker not in living
        await self._reaper.poll()
        for _ in range(5):
            self._now += LEASE / 4
            await self._pass_in_lane(LEASE / 4)
            for other in living:
                await self._engine.beat(other, [], 0)
            await self._reaper.poll()
            await self._lane_reaper.round(self._engine.view)


class InMemory:
    """Jobs in memory: time passes by moving their clock, and leases end when they are told to."""

    capabilities: Capabilities = Capabilities(
        database=False, limits=False, schedules=False, links=False
    )

    def __init__(self, engine: MemoryEngine) -> None:
        self.inspector: Inspector = engine.inspector
        self._book = engine.book

    async def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self._book.clock.move(timedelta(seconds=seconds))

    async def carry(self) -> None:
        """Takes read the book."""

    async def lose_lane(self) -> None:
        """There is none."""

    async def bury(self, worker: UUID, living: Collection[UUID]) -> None:
        """Take it for dead."""
        assert worker not in living
        with self._book.lock:
            self._book.bury(worker)

    def connection(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """Refused: the tests that need one ask for it first."""
        raise NotImplementedError


@asynccontextmanager
async def memory_rig() -> AsyncIterator[Rig]:
    """A rig whose jobs are kept in memory."""
    engine = MemoryEngine(Book())
    rig = Rig(engine, InMemory(engine))
    await rig.begin()
    yield rig


@asynccontextmanager
async def hybrid_rig(url: str, redis_url: str) -> AsyncIterator[Rig]:
    """A rig with a lane of its own, on a migrated database of its own.

    Databases that are copies of each other need a server each, or an identity of their own.
    """
    lane = RedisLane(redis_url, lease=LEASE)
    engine = LedgeredEngine(PostgresLedger(url), lane)
    await engine.start()
    try:
        async with Queries(url) as queries, Redis.from_url(redis_url) as client:

            async def pass_in_lane(seconds: float) -> None:
                meta = Keys(engine.view.ledger).meta.decode()
                await client.hincrby(meta, "offset", round(seconds * 1000))

            async def erase_lane() -> None:
                of_lane = Keys(engine.view.ledger).meta.replace(b":meta", b":*")
                await client.delete(*[key async for key in client.scan_iter(of_lane, count=1000)])

            around = Hybrid(url, engine, queries, lane, pass_in_lane, erase_lane)
            await around.open_lane()
            rig = Rig(engine, around)
            await rig.begin()
            yield rig
    finally:
        await engine.stop()


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
