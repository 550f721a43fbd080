"""Runs the statements of sql/ by name, on a pool of connections."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import asyncpg

from headrace.errors import UsageError
from headrace.ledger import migrate
from headrace.ledger.faults import translated
from headrace.ledger.pool import LOCAL_PLANS, close_pool, open_pool
from headrace.ledger.rows import Row
from headrace.ledger.statements import statement

Connection = asyncpg.pool.PoolConnectionProxy


class Queries:
    """A pool that knows the statements by name. Use it with `async with`.

    Args:
        url: postgresql://user:password@host:port/database
        size: connections at most.
        prepared: keep statements and settings in sessions. Without, each borrowed connection is one
            transaction with settings of its own, and PgBouncer may give each another session.
        check_schema: refuse a schema that is not this code's; only a doctor looks at any.
    """

    def __init__(
        self, url: str, *, size: int = 2, prepared: bool = True, check_schema: bool = True
    ) -> None:
        self._url = url
        self._size = size
        self._prepared = prepared
        self._check_schema = check_schema
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        """Connect.

        Raises:
            LedgerUnavailable: PostgreSQL cannot be reached.
            SchemaError: the schema is missing, older than the code, or too new for it.
        """
        self._pool = await open_pool(self._url, size=self._size, prepared=self._prepared)
        if self._check_schema:
            try:
                async with self.connection() as connection:
                    await migrate.check(connection)
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        """Close every connection."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await close_pool(pool)

    async def __aenter__(self) -> Self:
        """Open."""
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

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
            raise UsageError("the application is not started; use `async with app:` around it")
        with translated():
            async with self._pool.acquire() as connection:
                if self._prepared:
                    yield connection
                    return
                async with connection.transaction():
                    await connection.execute(LOCAL_PLANS)
                    yield connection

    @asynccontextmanager
    async def transaction(self, **settings: str) -> AsyncIterator["Connection[asyncpg.Record]"]:
        """A transaction; `settings` of PostgreSQL, such as lock_timeout="200ms", hold in it."""
        async with self.connection() as connection, connection.transaction():
            for name, value in settings.items():
                await connection.execute("SELECT set_config($1, $2, true)", name, value)
            yield connection
