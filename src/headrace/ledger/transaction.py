"""Transactions in which a handler's writes and its fenced completion commit together."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import asyncpg.transaction

from headrace.errors import HeadraceError, LedgerError, UsageError
from headrace.ledger.faults import translated
from headrace.ledger.pool import (
    LOCAL_PLANS,
    PATIENCE,
    PLANS,
    close_pool,
    open_pool_for_handlers,
)
from headrace.ledger.rows import completion_columns
from headrace.ledger.statements import statement
from headrace.model.job import Settlement

_log = logging.getLogger("headrace.ledger")
_MOST = 50
_Connection = asyncpg.pool.PoolConnectionProxy
Ended = Callable[[Sequence[UUID] | None], None]
"""Called with the jobs that were completed and that others may wait for, if there are any."""
_SERVER_PLANS = "; ".join(f"SET LOCAL {name} TO DEFAULT" for name in PLANS)
_CAUGHT_INSIDE = (
    "a statement in a block of ctx.transaction() failed and its error was caught inside, so that "
    "PostgreSQL takes no more of it; catch it outside of the block, or run the statement in "
    "`async with tx.transaction():`"
)
_ENDED_INSIDE = (
    "the transaction of ctx.transaction() was ended by a statement of the handler; leave COMMIT "
    "and ROLLBACK to headrace"
)


class LedgerTransaction:
    """An open transaction; rolled back unless `commit` says otherwise.

    Inside of its blocks the server's own planner settings hold, outside of them ours, since the
    completion needs them (`headrace.ledger.pool`). They travel with what begins and ends a block.

    Attributes:
        handle: the connection, for the handler's SQL.
    """

    def __init__(
        self,
        connection: "_Connection[asyncpg.Record]",
        transaction: asyncpg.transaction.Transaction,
        ended: Ended,
    ) -> None:
        self.handle = connection
        self._ended = ended
        self._transaction = transaction
        self._numbers = itertools.count(1)
        self._blocks = 0
        self._open = True

    @asynccontextmanager
    async def block(self) -> AsyncIterator[None]:
        """A savepoint.

        Raises:
            UsageError: the handler caught an error of PostgreSQL inside, or ended the transaction.
            LedgerUnavailable: the connection is lost.
        """
        savepoint = f"headrace_{next(self._numbers)}"
        await self._run(f"SAVEPOINT {savepoint}", _SERVER_PLANS)
        self._blocks += 1
        try:
            yield
        except BaseException as exc:
            self._blocks -= 1
            await self._undo(savepoint)
            origin = _origin(exc, self.handle)
            if origin is not exc:
                raise origin from None
            raise
        self._blocks -= 1
        await self._keep(savepoint)

    async def commit(self, worker: UUID, settlement: Settlement) -> bool:
        """Settle as completed and commit; False, and rolled back, if the attempt is stale.

        Raises:
            UsageError: the handler ended the transaction itself.
            LedgerUnavailable: the reply was lost; `settled_before` tells what became of it.
        """
        if not _lost(self.handle) and not self.handle.is_in_transaction():
            raise UsageError(_ENDED_INSIDE)
        async with in_time():
            (row,) = await self.handle.fetch(
                statement("settle_completed"), worker, *completion_columns([settlement]), True
            )
            self._open = False
            if not row["count"]:
                await self._transaction.rollback()
                return False
            await self._transaction.commit()
        self._ended(row["linked"])
        return True

    async def clean(self) -> None:
        """Undo what was not committed, and what the handler's SQL left in the session.

        A connection that is lost or does not answer is dropped, which undoes it as well.
        """
        if _lost(self.handle):
            return
        try:
            async with in_time():
                if self._open:
                    await self._transaction.rollback()
                await self.handle.reset()
        except LedgerError as exc:
            _log.warning("the connection of a handler is dropped: %s", exc)
            if not _lost(self.handle):
                self.handle.terminate()

    async def _keep(self, savepoint: str) -> None:
        try:
            await self._run(f"RELEASE SAVEPOINT {savepoint}", LOCAL_PLANS)
        except HeadraceError:
            await self._undo(savepoint)
            raise

    async def _undo(self, savepoint: str) -> None:
        """Where it fails nothing can be committed any more, so that it is undone all the same."""
        if _lost(self.handle):
            return
        try:
            await self._run(f"ROLLBACK TO SAVEPOINT {savepoint}", LOCAL_PLANS)
        except HeadraceError as exc:
            _log.warning("a block of a handler's transaction cannot be undone alone: %s", exc)

    async def _run(self, command: str, settings: str) -> None:
        """Run what begins or ends a block, with the settings unless it lies in another block."""
        script = command if self._blocks else f"{command}; {settings}"
        try:
            with translated():
                await self.handle.execute(script, timeout=PATIENCE)
        except LedgerError as exc:
            raise _plainly(exc) from exc.__cause__


class HandlerConnections:
    """The connections on which handlers hold their transactions.

    They hold them for as long as they run; were they to take them from the pool of the ledger,
    claims, settles and their own enqueues would wait for them for ever.
    """

    def __init__(self, url: str, ended: Ended, *, prepared: bool = True) -> None:
        self._url = url
        self._ended = ended
        self._prepared = prepared
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        """Be ready to connect."""
        self._pool = await open_pool_for_handlers(self._url, size=_MOST, prepared=self._prepared)

    async def close(self) -> None:
        """Close every connection."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await close_pool(pool)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[LedgerTransaction]:
        """Begin; on leaving, what was not committed is rolled back and the session is reset.

        Raises:
            UsageError: the application is not started.
            LedgerUnavailable: PostgreSQL cannot be reached.
        """
        if self._pool is None:
            raise UsageError("the application is not started; use `async with app:` around it")
        pool = self._pool
        with translated():
            connection = await pool.acquire()
        try:
            async with in_time():
                begun = connection.transaction()
                await begun.start()
            transaction = LedgerTransaction(connection, begun, self._ended)
            try:
                yield transaction
            finally:
                await transaction.clean()
        finally:
            await pool.release(connection)


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Statements of ours, on a connection that knows no timeout."""
    with translated():
        async with asyncio.timeout(PATIENCE):
            yield


def _lost(connection: "_Connection[asyncpg.Record]") -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True  # the pool has taken a lost connection back


def _origin(exc: BaseException, connection: "_Connection[asyncpg.Record]") -> BaseException:
    """What a handler met first: on a lost connection the driver fails to undo, and says only that.

    So it does where a handler begins a transaction of its own within a block.
    """
    while isinstance(exc, asyncpg.InterfaceError) and exc.__context__ and _lost(connection):
        exc = exc.__context__
    return exc


def _plainly(exc: LedgerError) -> HeadraceError:
    """What a handler did, where PostgreSQL knows only what it may not do now."""
    match exc.__cause__:
        case asyncpg.InFailedSQLTransactionError():
            return UsageError(_CAUGHT_INSIDE)
        case asyncpg.NoActiveSQLTransactionError() | asyncpg.InvalidSavepointSpecificationError():
            return UsageError(_ENDED_INSIDE)
        case _:
            return exc
