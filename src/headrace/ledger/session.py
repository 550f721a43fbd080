"""A handler's own session of SQLAlchemy, whose writes commit together with its completion."""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID

from headrace.errors import LedgerUnavailable, UsageError
from headrace.ledger.foreign import of
from headrace.ledger.pool import PLANS
from headrace.ledger.rows import completion_columns
from headrace.ledger.statements import statement
from headrace.ledger.transaction import Ended, in_time
from headrace.model.job import Settlement

_log = logging.getLogger("headrace.ledger")
_PLANS = "SELECT " + ", ".join(f"set_config('{name}', :{name}, true)" for name in PLANS)
_PARAMETER = re.compile(r"\$(\d)(?:::(\w+(?:\[\])?))?")


class SessionTransaction:
    """The transaction of an AsyncSession, which is closed when the attempt ends.

    SQLAlchemy is optional, so its types are not named.
    """

    def __init__(self, session: Any, ended: Ended) -> None:  # noqa: ANN401 - see above
        self.handle = session
        self._ended = ended
        self._begun: object = None

    def block(self) -> AbstractAsyncContextManager[object]:
        """A savepoint."""
        return self._block()

    @asynccontextmanager
    async def _block(self) -> AsyncIterator[None]:
        """What the handler raises counts, not what becomes of undoing it on a lost connection."""
        cause: BaseException | None = None
        try:
            async with self.handle.begin_nested():
                self._begun = self._begun or self.handle.get_transaction()
                try:
                    yield
                except BaseException as exc:
                    cause = exc
                    raise
        except Exception as exc:
            if cause is None or cause is exc:
                raise
            _log.warning("a block of a handler's session cannot be undone alone: %s", exc)
        if cause is not None:
            raise cause

    async def commit(self, worker: UUID, settlement: Settlement) -> bool:
        """Settle as completed and commit; False, and rolled back, if the attempt is stale.

        Raises:
            UsageError: the session's transaction ended before the handler returned, so that its
                writes can no longer commit together with the completion.
        """
        from sqlalchemy import text  # noqa: PLC0415 - optional

        if self.handle.get_transaction() is not self._begun:
            raise UsageError(
                "the session given to ctx.transaction() was committed, rolled back or closed "
                "before the handler returned; leave that to headrace: "
                "`async with ctx.transaction(session=Session()) as session:`"
            )
        sql = _PARAMETER.sub(_as_named, statement("settle_completed"))
        values = (worker, *completion_columns([settlement]), True)
        parameters = {f"p{place}": value for place, value in enumerate(values, 1)}
        async with in_time():
            await self.handle.execute(text(_PLANS), PLANS)
            row = (await self.handle.execute(text(sql), parameters)).mappings().one()
            if not row["count"]:
                await self.handle.rollback()
                return False
            await self.handle.commit()
        self._ended(row["linked"])
        return True

    async def close(self) -> None:
        """Undo what was not committed, in bounded time: a server may not answer."""
        try:
            async with in_time():
                await self.handle.close()
        except LedgerUnavailable as exc:
            _log.warning("a handler's session is dropped: %s", exc)
            await self.handle.invalidate()


@asynccontextmanager
async def join_session(session: object, ended: Ended) -> AsyncIterator[SessionTransaction]:
    """Join a session; it is closed on leaving, which undoes what was not committed.

    Raises:
        UsageError: it is no AsyncSession.
    """
    if not (of(session, "sqlalchemy") and hasattr(session, "run_sync")):
        raise UsageError(
            f"session is a {type(session).__module__}.{type(session).__qualname__}; "
            "give an AsyncSession of SQLAlchemy"
        )
    transaction = SessionTransaction(session, ended)
    try:
        yield transaction
    finally:
        await transaction.close()


def _as_named(match: re.Match[str]) -> str:
    """A parameter in the words of SQLAlchemy, which takes no `::` behind a name."""
    number, cast = match.groups()
    return f":p{number}" if cast is None else f"CAST(:p{number} AS {cast})"
