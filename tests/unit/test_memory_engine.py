from collections.abc import AsyncIterator

import pytest

from headrace.testing.engines import EngineConformance, Rig
from headrace.testing.engines.rigs import memory_rig


class TestInMemory(EngineConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        async with memory_rig() as rig:
            yield rig
