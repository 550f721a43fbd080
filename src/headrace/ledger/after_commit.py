"""Who inserts in a transaction of the caller's is told of its commit, where a library tells of it.

It is a hint, by which jobs start at once rather than when a relay finds them: it may not come, or
come for a savepoint that was rolled back. psycopg tells of no commit, nor do connections of
SQLAlchemy.
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from headrace.ledger.foreign import of
from headrace.portal import on_callers_thread

Tell = Callable[[], None]
"""Called on the thread that commits, so it must neither wait nor fail."""


async def once_committed(tx: object, tell: Tell) -> None:
    """Call `tell` when the transaction that is open in `tx` has been committed."""
    for package, has, hook in _HOOKS:
        if of(tx, package) and hasattr(tx, has):
            await on_callers_thread(partial(hook, tx, tell))
            return


class _Waiting:
    """Who is to be told of the commit of one transaction."""

    def __init__(self) -> None:
        self.tells: list[Tell] = []

    def tell(self) -> None:
        tells, self.tells = self.tells, []
        for tell in tells:
            tell()

    def forget(self) -> None:
        self.tells.clear()


def _by_django(connection: Any, tell: Tell) -> None:  # noqa: ANN401 - optional
    """Where somebody else than `atomic` keeps the transaction, Django knows of no commit."""
    if connection.in_atomic_block:
        connection.on_commit(tell)


def _by_sqlalchemy(session: Any, tell: Tell) -> None:  # noqa: ANN401 - optional
    """One listener a session, however many jobs: `info` lives as long as it does."""
    from sqlalchemy import event  # noqa: PLC0415 - optional
    from sqlalchemy.orm import Session  # noqa: PLC0415 - optional

    here = session() if hasattr(session, "registry") else session  # a scoped one is a proxy
    here = getattr(here, "sync_session", here)
    if not isinstance(here, Session):
        return
    waiting = here.info.get(_KEY)
    if waiting is None:
        waiting = here.info[_KEY] = _Waiting()
        event.listen(here, "after_commit", partial(_outermost, waiting))
        event.listen(here, "after_rollback", lambda _: waiting.forget())
    waiting.tells.append(tell)


def _outermost(waiting: _Waiting, session: Any) -> None:  # noqa: ANN401 - optional
    if not session.in_nested_transaction():
        waiting.tell()


def _by_asyncpg(connection: Any, tell: Tell) -> None:  # noqa: ANN401 - of a pool, too
    """It tells of every statement, so of those that end a transaction."""
    real = getattr(connection, "_con", connection)  # what a pool lends is a shell of its own
    waiting = _ASYNCPG.setdefault(real, _Waiting())
    if not waiting.tells:
        # By its own name, so that it can be taken off again.
        def heard(statement: Any) -> None:  # noqa: ANN401 - optional
            words = statement.query.upper().replace(";", " ").split()
            if words[:1] == ["ROLLBACK"] and "TO" not in words:
                waiting.forget()
            elif words[:1] in (["COMMIT"], ["END"]) and statement.exception is None:
                waiting.tell()
            if not waiting.tells:
                real.remove_query_logger(heard)

        real.add_query_logger(heard)
    waiting.tells.append(tell)


_KEY = "headrace.after_commit"
_ASYNCPG: WeakKeyDictionary[Any, _Waiting] = WeakKeyDictionary()
_HOOKS: tuple[tuple[str, str, Callable[[Any, Tell], None]], ...] = (
    ("asyncpg", "is_in_transaction", _by_asyncpg),
    ("sqlalchemy", "begin_nested", _by_sqlalchemy),
    ("django", "in_atomic_block", _by_django),
)
