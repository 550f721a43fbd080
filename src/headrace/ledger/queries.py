"""Runs the statements of sql/ for operators and services, on a small pool of their own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import asyncpg

from headrace.errors import UsageError
from headrace.ledger import migrate
from headrace.ledger.faults import translated
from headrace.ledger.pool import open_pool
from headrace.ledger.rows import Row
from headrace.ledger.statements import statement

Connection = asyncpg.pool.PoolConnectionProxy


class Queries:
    """A pool that knows the statements by name. Use it with `async with`.

    Args:
        url: postgresql://user:password@host:port/database
        size: connections at most.
        check_schema: refuse a schema that is not this code's; only a doctor looks at any.
    """

    def __init__(self, url: str, *, size: int = 2, check_schema: bool = True) -> None:
        self._url = url
        self._size = size
        self._check_schema = check_schema
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            LedgerUnavailable: PostgreSQL cannot be reached.
            SchemaError: the schema is missing, older or newer than the code.
        """
        self._pool = await open_pool(self._url, size=self._size)
        if self._check_schema:
            try:
                async with self.connection() as connection:
                    await migrate.check(connection)
            except BaseException:
                await self._pool.close()
                raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def fetch(self, name: str, *parameters: object) -> Sequence[Row]:
        """The rows of sql/NAME.sql."""
        async with self.connection() as connection:
            return await connection.fetch(statement(name), *parameters)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Connection[asyncpg.Record]"]:
        """A connection of the pool; the driver's errors become ours.

        Raises:
            UsageError: the pool is not open.
            LedgerError: what PostgreSQL refused, or that it is away.
        """
        if self._pool is None:
            raise UsageError("the connection to the ledger is not open; use `async with`")
        with translated():
            async with self._pool.acquire() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self, **settings: str) -> AsyncIterator["Connection[asyncpg.Record]"]:
        """A transaction; `settings` of PostgreSQL, such as lock_timeout="200ms", hold in it."""
        async with self.connection() as connection, connection.transaction():
            for name, value in settings.items():
                await connection.execute("SELECT set_config($1, $2, true)", name, value)
            yield connection
