"""A transaction in which a handler's writes and its fenced completion commit together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from headrace.ledger.faults import translated
from headrace.ledger.statements import statement
from headrace.model.job import Settlement


class LedgerTransaction:
    """An open transaction; rolled back unless `commit` says otherwise."""

    def __init__(
        self,
        connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]",
        transaction: asyncpg.transaction.Transaction,
    ) -> None:
        self.handle = connection
        self._transaction = transaction
        self.open = True

    def block(self) -> asyncpg.transaction.Transaction:
        """A savepoint."""
        return self.handle.transaction()

    async def commit(self, worker: UUID, settlement: Settlement) -> bool:
        """Settle as completed and commit; False, and rolled back, if the attempt is stale.

        Raises:
            LedgerUnavailable: the reply was lost; `settled_before` tells what became of it.
        """
        with translated():
            rows = await self.handle.fetch(
                statement("settle_completed"), *completion_parameters(worker, settlement)
            )
            self.open = False
            if not rows:
                await self._transaction.rollback()
                return False
            await self._transaction.commit()
        return True

    async def rollback(self) -> None:
        """Undo everything; a broken connection has done so already."""
        if self.open and not self.handle.is_closed():
            self.open = False
            with translated():
                await self._transaction.rollback()


@asynccontextmanager
async def open_transaction(
    pool: "asyncpg.Pool[asyncpg.Record]",
) -> AsyncIterator[LedgerTransaction]:
    """Begin; on leaving, what was not committed is rolled back and the session is reset.

    The handler ran SQL of its own on this connection and may have left settings behind.
    """
    with translated():
        connection = await pool.acquire()
    try:
        with translated():
            begun = connection.transaction()
            await begun.start()
        transaction = LedgerTransaction(connection, begun)
        try:
            yield transaction
        finally:
            await transaction.rollback()
            if not connection.is_closed():
                with translated():
                    await connection.reset()
    finally:
        await pool.release(connection)


def completion_parameters(worker: UUID, settlement: Settlement) -> tuple[object, ...]:
    """The parameters of settle_completed.sql for one attempt."""
    return (worker, [settlement.id], [settlement.gen], [settlement.ran], [settlement.result])
