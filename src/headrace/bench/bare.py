"""A connection for bare statements, by the way that the settings take to PostgreSQL."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from headrace.ledger.migrate import connect

Ask = Callable[..., Awaitable[Sequence[asyncpg.Record]]]


class Bare:
    """Statements as fast as that way lets them be.

    Args:
        connection: of the benchmark's own.
        prepared: keep statements in its session. Without, as behind PgBouncer in transaction mode,
            each is a transaction.

    Attributes:
        driver: the connection itself.
    """

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", *, prepared: bool) -> None:
        self.driver: asyncpg.Connection[asyncpg.Record] = connection
        self._prepared = prepared

    async def execute(self, script: str) -> None:
        """Run statements without parameters, all in one transaction."""
        await self.driver.execute(script)

    async def fetchrow(self, statement: str) -> asyncpg.Record | None:
        """Its first row."""
        async with self.driver.transaction():
            return await self.driver.fetchrow(statement)

    async def fetchval(self, statement: str) -> Any:  # noqa: ANN401 - whatever it answers
        """The first value of its first row."""
        row = await self.fetchrow(statement)
        return None if row is None else row[0]

    async def ready(self, statement: str) -> Ask:
        """What runs a statement again and again."""
        if self._prepared:
            return (await self.driver.prepare(statement)).fetch

        async def ask(*parameters: object) -> Sequence[asyncpg.Record]:
            async with self.driver.transaction():
                return await self.driver.fetch(statement, *parameters)

        return ask

    async def close(self) -> None:
        """Disconnect."""
        await self.driver.close()


async def open_bare(url: str, *, prepared: bool) -> Bare:
    """Connect.

    Raises:
        ConfigError: the URL is none of PostgreSQL.
        LedgerUnavailable: refused, or no answer.
    """
    return Bare(await connect(url), prepared=prepared)
