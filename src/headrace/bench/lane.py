"""The lane of a run: emptied for each measurement, and what its server spends."""

import asyncio
import time

from redis.asyncio import Redis

from headrace.bench.database import Database, Meter
from headrace.bench.enqueueing import enqueue_bulk
from headrace.bench.tasks import QUEUE, BenchApp
from headrace.engines.ledgered import LedgeredEngine
from headrace.model.lane_view import LaneView, Mode
from headrace.ports.lane import Lane
from headrace.relay.relay import Relay
from headrace.relay.walk import CAP

_DOUBT = 61.0  # for a minute after it was begun a lane has all that it gives out verified


class LanedDatabase(Database):
    """A database whose jobs a lane carries.

    Args:
        database: as it was made.
        bench: the application that enqueues; started.
        redis_url: of the lane's server.
    """

    def __init__(self, database: Database, bench: BenchApp, redis_url: str) -> None:
        super().__init__(database.url, database.connection, database.postmaster)
        self._bench = bench
        self._redis_url = redis_url
        self._begun = 0.0

    async def empty(self) -> None:
        """Leave no row and no entry, in an epoch where new jobs flow at once."""
        await super().empty()
        engine, lane = self._engine()
        if self._begun:
            depth = await lane.depth(engine.view.epoch, QUEUE)
            if not sum(depth.ready.values()) and not await lane.cursors(engine.view.epoch):
                return
        await self._begin(engine, lane)

    async def _begin(self, engine: LedgeredEngine, lane: Lane) -> None:
        self._begun = time.monotonic()
        lanes = engine.ledger.lanes
        begun = _agreed(await lanes.switch((await lanes.view()).epoch, Mode.REBUILD, held=False))
        await lane.open_epoch(begun.epoch)
        engine.heed(_agreed(await lanes.fence(begun.epoch, Mode.HYBRID)))

    async def filled(self, n: int) -> None:
        """Wait until the lane has taken over what it can hold of a backlog."""
        engine, lane = self._engine()
        relay = Relay(engine.ledger.lanes, lane).loop
        relay.start()
        there = 0
        while there < min(n, CAP):
            await asyncio.sleep(0.01)  # neither write-through nor relay says when it is done
            depth = await lane.depth(engine.view.epoch, QUEUE)
            there = sum(depth.ready.values())
        await relay.stop()

    async def trusted(self) -> dict[str, float]:
        """Wait until the lane is as it is all day, not as in its first minute."""
        await self.empty()
        await asyncio.sleep(self._begun + _DOUBT - time.monotonic())
        return {}

    async def meter(self) -> Meter:
        """What both servers have spent so far."""
        meter = await super().meter()
        async with Redis.from_url(self._redis_url) as client:
            spent = await client.info("cpu", "memory")
        return meter._replace(
            lane_cpu=spent["used_cpu_user"] + spent["used_cpu_sys"],
            lane_memory=spent["used_memory"],
        )

    def _engine(self) -> tuple[LedgeredEngine, Lane]:
        engine = self._bench.app.engine
        assert isinstance(engine, LedgeredEngine)
        assert engine.lane is not None
        return engine, engine.lane


async def measure_lane_memory(database: LanedDatabase, bench: BenchApp, n: int) -> dict[str, float]:
    """What a waiting job takes in the lane."""
    n = min(n, CAP)
    await database.empty()
    before = await database.meter()
    await enqueue_bulk(bench, n)
    await database.filled(n)
    after = await database.meter()
    return {"lane_bytes": (after.lane_memory - before.lane_memory) / n}


def _agreed(view: LaneView | None) -> LaneView:
    if view is None:
        raise RuntimeError("another process switches the lane of the benchmark's own database")
    return view
