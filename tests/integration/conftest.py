"""Ledgers and applications on migrated databases."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import redis.asyncio

from headrace import Headrace
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.queries import Queries
from integration.crew import Crew
from jobsmith import Jobsmith, smith_at


@pytest.fixture
async def ledger(migrated_url: str) -> AsyncIterator[PostgresLedger]:
    """An open ledger with the queue "q"."""
    ledger = PostgresLedger(migrated_url)
    await ledger.open()
    await ledger.declare((), ["q"])
    yield ledger
    await ledger.close()


@pytest.fixture
async def sql(migrated_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own."""
    connection = await asyncpg.connect(migrated_url)
    yield connection
    await connection.close()


@pytest.fixture
async def app(migrated_url: str) -> AsyncIterator[Headrace]:
    """A started application without tasks."""
    app = Headrace("tests", database_url=migrated_url)
    async with app:
        yield app


@pytest.fixture
async def lane_url(redis_url: str) -> str:
    """A server without any lane."""
    async with redis.asyncio.from_url(redis_url) as client:
        await client.flushall()
    return redis_url


@pytest.fixture
async def smith(migrated_url: str) -> AsyncIterator[Jobsmith]:
    """A ledger with one worker."""
    async with smith_at(migrated_url) as smith:
        yield smith


@pytest.fixture
async def queries(smith: Jobsmith) -> AsyncIterator[Queries]:
    """The statements by name, on the jobsmith's ledger."""
    async with Queries(smith.url) as queries:
        yield queries


@pytest.fixture
async def crew(migrated_url: str, sql: asyncpg.Connection) -> AsyncIterator[Crew]:
    crew = Crew(migrated_url, sql)
    yield crew
    await crew.dismiss()
