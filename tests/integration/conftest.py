"""Migrated databases, ledgers and applications on them."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from headrace import Headrace
from headrace.ledger.migrate import migrate
from headrace.ledger.postgres import PostgresLedger


@pytest.fixture
async def migrated_url(database_url: str) -> str:
    """A fresh database with the schema."""
    await migrate(database_url)
    return database_url


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
