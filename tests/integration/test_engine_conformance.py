from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from headrace.testing.engines import EngineConformance, Rig
from headrace.testing.engines.rigs import direct_rig, hybrid_rig
from integration.ledgers import wipe
from servers import fresh_database


@pytest.fixture(scope="module")
def shared_url(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """A database for all these tests: to make one takes longer than most of them."""
    with fresh_database(postgres_url, migrated_template) as url:
        yield url


@pytest.fixture
async def empty_url(shared_url: str) -> AsyncIterator[str]:
    yield shared_url
    connection = await asyncpg.connect(shared_url)
    await wipe(connection)
    await connection.close()


class TestDirectMode(EngineConformance):
    @pytest.fixture
    async def rig(self, empty_url: str) -> AsyncIterator[Rig]:
        async with direct_rig(empty_url) as rig:
            yield rig


class TestHybridMode(EngineConformance):
    @pytest.fixture
    async def rig(self, empty_url: str, redis_url: str) -> AsyncIterator[Rig]:
        async with hybrid_rig(empty_url, redis_url) as rig:
            yield rig
