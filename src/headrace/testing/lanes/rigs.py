"""The rigs of our own lanes; their time passes by moving a clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from redis.asyncio import Redis

from headrace.lanes.memory import MemoryLane
from headrace.lanes.redis.keys import Keys
from headrace.lanes.redis.lane import RedisLane
from headrace.testing.lanes.rig import CAPS, LEASE, Rig


def memory_rig() -> Rig:
    """A rig of the reference lane."""
    now = 1000.0

    async def pass_time(seconds: float) -> None:
        nonlocal now
        now += seconds

    return Rig(MemoryLane(caps=CAPS, lease=LEASE, clock=lambda: now), pass_time)


@asynccontextmanager
async def redis_rig(url: str, *, operator: str | None = None) -> AsyncIterator[Rig]:
    """A rig of a lane of its own on a server; `operator` is the URL of who moves its clock."""
    ledger = uuid4()
    lane = RedisLane(url, caps=CAPS, lease=LEASE)
    lane.belong_to(ledger)
    client = Redis.from_url(operator or url)

    async def pass_time(seconds: float) -> None:
        await client.hincrby(Keys(ledger).meta.decode(), "offset", round(seconds * 1000))

    await lane.open()
    try:
        yield Rig(lane, pass_time)
    finally:
        await lane.close()
        await client.aclose()
