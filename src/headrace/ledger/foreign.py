"""Inserting in a transaction of the caller's: one statement with one text parameter."""

import inspect
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import asyncpg

from headrace.errors import UsageError
from headrace.ledger.faults import translate
from headrace.ledger.rows import Row
from headrace.ledger.statements import statement
from headrace.model.job import Inserted


async def insert_in(tx: object, document: str) -> list[Inserted]:
    """Insert the jobs of a document in `tx`, an asyncpg connection or a session of SQLAlchemy.

    Raises:
        UsageError: `tx` is something else, or no transaction is open in it.
    """
    if isinstance(tx, asyncpg.Connection | asyncpg.pool.PoolConnectionProxy):
        if not tx.is_in_transaction():
            raise UsageError(
                "tx has no open transaction, so the job would commit by itself; "
                "use `async with connection.transaction():`"
            )
        return in_order(await tx.fetch(statement("insert_docs"), document))
    if of_sqlalchemy(tx) and hasattr(tx, "begin_nested"):
        return await _insert_in_session(tx, document)
    raise UsageError(
        f"tx is a {type(tx).__module__}.{type(tx).__qualname__}; "
        "give an asyncpg connection, or a Session, AsyncSession or connection of SQLAlchemy"
    )


def of_sqlalchemy(value: object) -> bool:
    """Whether its class, or one that it extends, is of SQLAlchemy, which is optional."""
    return any(kind.__module__.partition(".")[0] == "sqlalchemy" for kind in type(value).__mro__)


async def _insert_in_session(session: Any, document: str) -> list[Inserted]:  # noqa: ANN401
    """SQLAlchemy is optional, so its types are not named; a session begins by itself when asked."""
    from sqlalchemy import text  # noqa: PLC0415 - as above
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError  # noqa: PLC0415 - as above

    sql = statement("insert_docs").replace("$1", ":document")
    try:
        result = session.execute(text(sql), {"document": document})
        if inspect.isawaitable(result):
            result = await result
    except DBAPIError as exc:
        code = getattr(exc.orig, "sqlstate", None) or ""
        raise translate(code, exc.orig if isinstance(exc.orig, Exception) else exc) from exc
    except SQLAlchemyError as exc:
        why = str(exc).partition("\n")[0].rstrip(".")
        raise UsageError(f"tx cannot run a statement ({why}); give one that can") from exc
    return in_order(result.mappings().all())


def in_order(rows: Iterable[Row]) -> list[Inserted]:
    """The rows of insert_docs.sql, in the order in which the jobs were given."""
    ordered = sorted(rows, key=_place)
    return [Inserted(UUID(str(row["job_id"])), duplicate=row["duplicate"]) for row in ordered]


def _place(row: Row) -> int:
    place: int = row["place"]
    return place
