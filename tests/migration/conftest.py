"""A connection to a migrated database."""

from collections.abc import AsyncIterator

import asyncpg
import pytest


@pytest.fixture
async def sql(migrated_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own."""
    connection = await asyncpg.connect(migrated_url)
    yield connection
    await connection.close()
