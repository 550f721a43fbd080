from collections.abc import AsyncIterator

import pytest

from headrace.testing.lanes import LaneConformance, Rig
from headrace.testing.lanes.rigs import memory_rig, redis_rig


class TestMemoryLane(LaneConformance):
    @pytest.fixture
    async def rig(self) -> Rig:
        rig = memory_rig()
        await rig.begin()
        return rig


class TestRedisLane(LaneConformance):
    @pytest.fixture
    async def rig(self, redis_url: str) -> AsyncIterator[Rig]:
        async with redis_rig(redis_url) as rig:
            await rig.begin()
            yield rig
