"""A store under test, and a way to let its time pass."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from redis.asyncio import Redis

from headrace.cache.keys import Keys
from headrace.cache.memory import MemoryStore
from headrace.cache.redis import RedisStore
from headrace.ports.cache import CacheStore


@dataclass(frozen=True, slots=True)
class Rig:
    """A store, empty, and the clock that it goes by.

    Attributes:
        store: under test.
        pass_time: moves its clock, by seconds.
    """

    store: CacheStore
    pass_time: Callable[[float], Awaitable[None]]

    async def values(self, space: str, *keys: str) -> list[bytes | None]:
        """What is read."""
        found = (await self.store.read(space, keys)).found
        return [None if one is None else one.value for one in found]

    async def put(self, space: str, life: float = 60.0, **values: bytes) -> None:
        """Write under the version that is now."""
        version = (await self.store.read(space, ())).version
        await self.store.write(space, version, values, life)


def memory_rig() -> Rig:
    """A rig of the reference store."""
    now = 1000.0

    async def pass_time(seconds: float) -> None:
        nonlocal now
        now += seconds

    return Rig(MemoryStore(lambda: now), pass_time)


@asynccontextmanager
async def redis_rig(url: str) -> AsyncIterator[Rig]:
    """A rig of a store of its own on a server."""
    application = uuid4().hex
    store = RedisStore(url, application, None)
    client = Redis.from_url(url)

    async def pass_time(seconds: float) -> None:
        async for key in client.scan_iter(Keys(application).tag + b"/*", count=10_000):
            left = await client.pttl(key)
            if left > 0:
                await client.pexpire(key, max(0, left - round(seconds * 1000)))

    try:
        yield Rig(store, pass_time)
    finally:
        await store.close()
        await client.aclose()
