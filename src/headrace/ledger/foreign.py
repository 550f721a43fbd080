"""Statements in a transaction of the caller's: one statement with one text parameter.

SQLAlchemy, psycopg and Django are optional, so their types are not named.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from typing import Any
from uuid import UUID

from headrace.errors import HeadraceError, UsageError
from headrace.ledger.faults import translate
from headrace.ledger.rows import Row
from headrace.ledger.statements import statement
from headrace.model.job import Inserted
from headrace.portal import called_through_portal, on_callers_thread


async def insert_in(tx: object, document: str) -> list[Inserted]:
    """Insert the jobs of a document in `tx`: a connection, or a session of SQLAlchemy.

    Raises:
        UsageError: `tx` is something else, or no transaction is open in it, or it belongs to an
            event loop that the caller does not run in.
    """
    return in_order(await run_in(tx, "insert_docs", document))


async def run_in(tx: object, name: str, document: str) -> Sequence[Row]:
    """The rows of sql/NAME.sql, which takes one document, run in `tx`.

    Raises:
        UsageError: as `insert_in`.
    """
    if called_through_portal() and _is_async(tx):
        raise UsageError(
            f"tx is a {_kind(tx)}, which belongs to an event loop; write await ....enqueue(...) "
            "there, or give a connection or session that is not async"
        )
    for package, has, run in _WAYS:
        if of(tx, package) and hasattr(tx, has):
            return await run(tx, name, document)
    raise UsageError(
        f"tx is a {_kind(tx)}; give a connection of asyncpg, psycopg or Django, "
        "or a Session, AsyncSession or connection of SQLAlchemy"
    )


def of(value: object, package: str) -> bool:
    """Whether its class, or one that it extends, is of a package."""
    return any(kind.__module__.partition(".")[0] == package for kind in type(value).__mro__)


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _is_async(tx: object) -> bool:
    return of(tx, "asyncpg") or inspect.iscoroutinefunction(getattr(tx, "execute", None))


def _open_first(instead: str) -> UsageError:
    return UsageError(
        f"tx has no open transaction, so the job would commit by itself; use `{instead}`"
    )


async def _by_asyncpg(connection: Any, name: str, document: str) -> Sequence[Row]:  # noqa: ANN401 - of a pool, too
    if not connection.is_in_transaction():
        raise _open_first("async with connection.transaction():")
    rows: Sequence[Row] = await connection.fetch(statement(name), document)
    return rows


async def _by_psycopg(connection: Any, name: str, document: str) -> Sequence[Row]:  # noqa: ANN401 - optional
    """It begins a transaction by itself, unless it commits each statement."""
    from psycopg import Error, pq, rows  # noqa: PLC0415 - optional

    if connection.autocommit and connection.info.transaction_status == pq.TransactionStatus.IDLE:
        raise _open_first("with connection.transaction():")
    try:
        if not _is_async(connection):
            cursor = partial(connection.cursor, row_factory=rows.tuple_row)
            return await on_callers_thread(lambda: _by_cursor(cursor, name, document))
        async with connection.cursor(row_factory=rows.dict_row) as asked:
            await asked.execute(_for_psycopg(name), {"document": document})
            found: Sequence[Row] = await asked.fetchall()
            return found
    except Error as exc:
        raise translate(exc.sqlstate or "", exc) from exc


async def _by_django(connection: Any, name: str, document: str) -> Sequence[Row]:  # noqa: ANN401 - optional
    from django.db import Error  # noqa: PLC0415 - optional

    def insert() -> Sequence[Row]:
        if connection.vendor != "postgresql":
            raise UsageError(
                f"tx is a connection to {connection.vendor}; jobs commit with data in PostgreSQL"
            )
        if connection.get_autocommit():
            raise _open_first("with transaction.atomic():")
        return _by_cursor(connection.cursor, name, document)

    try:
        return await on_callers_thread(insert)
    except Error as exc:
        raise _refused(exc, exc.__cause__) from exc


async def _by_sqlalchemy(session: Any, name: str, document: str) -> Sequence[Row]:  # noqa: ANN401 - optional
    """A session begins by itself when asked.

    What is pending in it is flushed when its owner says so or commits: an error there is theirs.
    """
    from sqlalchemy import text  # noqa: PLC0415 - optional
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError  # noqa: PLC0415 - optional

    sql = text(statement(name).replace("$1", ":document"))
    values = {"document": document}

    def ask() -> Sequence[Row]:
        with _unflushed(session):
            rows: Sequence[Row] = session.execute(sql, values).mappings().all()
            return rows

    try:
        if not _is_async(session):
            return await on_callers_thread(ask)
        with _unflushed(session):
            found: Sequence[Row] = (await session.execute(sql, values)).mappings().all()
            return found
    except DBAPIError as exc:
        raise _refused(exc, exc.orig) from exc
    except SQLAlchemyError as exc:
        why = str(exc).partition("\n")[0].rstrip(".")
        raise UsageError(f"tx cannot run a statement ({why}); give one that can") from exc


def _unflushed(session: Any) -> AbstractContextManager[Any]:  # noqa: ANN401 - optional
    """Nothing is pending in a connection."""
    context: AbstractContextManager[Any] = getattr(session, "no_autoflush", nullcontext())
    return context


def _by_cursor(
    open_cursor: Callable[[], AbstractContextManager[Any]], name: str, document: str
) -> list[Row]:
    with open_cursor() as cursor:
        cursor.execute(_for_psycopg(name), {"document": document})
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _refused(exc: Exception, cause: BaseException | None) -> HeadraceError:
    """What the driver below said is what PostgreSQL said."""
    code = getattr(cause, "sqlstate", None) or ""
    return translate(code, cause if isinstance(cause, Exception) else exc)


@cache
def _for_psycopg(name: str) -> str:
    return statement(name).replace("%", "%%").replace("$1", "%(document)s")


_Run = Callable[[Any, str, str], Awaitable[Sequence[Row]]]
_WAYS: tuple[tuple[str, str, _Run], ...] = (
    ("asyncpg", "is_in_transaction", _by_asyncpg),
    ("psycopg", "cursor", _by_psycopg),
    ("sqlalchemy", "begin_nested", _by_sqlalchemy),
    ("django", "get_autocommit", _by_django),
)


def in_order(rows: Iterable[Row]) -> list[Inserted]:
    """The rows of insert_docs.sql, in the order in which the jobs were given."""
    ordered = sorted(rows, key=_place)
    return [
        Inserted(
            UUID(str(row["job_id"])),
            duplicate=row["duplicate"],
            blocked=row["blocked"],
            seated=row["seated"],
        )
        for row in ordered
    ]


def _place(row: Row) -> int:
    place: int = row["place"]
    return place
