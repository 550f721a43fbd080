"""Every rule of caches, in memory and on a real server."""

from collections.abc import AsyncIterator

import pytest

from headrace.cache.memory import MemoryStore
from headrace.testing.caches import CacheConformance, Rig
from headrace.testing.caches.rig import memory_rig, redis_rig


class TestMemory(CacheConformance):
    @pytest.fixture
    def rig(self) -> Rig:
        return memory_rig()


class TestRedis(CacheConformance):
    @pytest.fixture
    async def rig(self, redis_url: str) -> AsyncIterator[Rig]:
        async with redis_rig(redis_url) as rig:
            yield rig


async def test_memory_is_bounded_and_what_was_used_least_goes_first() -> None:
    store = MemoryStore(most_bytes=30)
    version = (await store.read("s", ())).version
    await store.write("s", version, {"a": b"x" * 10, "b": b"x" * 10, "c": b"x" * 10}, 60)
    await store.read("s", ("a",))
    await store.write("s", version, {"d": b"x" * 10}, 60)
    found = (await store.read("s", ("a", "b", "c", "d"))).found
    assert [one is not None for one in found] == [True, False, True, True]
