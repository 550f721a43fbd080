"""Migrations: numbered, forward only, each in its own transaction with a short lock_timeout.

Functions that grow with the features stand in functions/, each in one piece; the last migration
brings them up to date. Who changes one adds a migration, be it of a comment alone.
"""

import re
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from headrace.errors import SchemaError
from headrace.ledger.faults import translated
from headrace.ledger.url import reaching

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

_BOOK = """
CREATE SCHEMA IF NOT EXISTS headrace;
CREATE TABLE IF NOT EXISTS headrace.migration (
    version    int         PRIMARY KEY,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""
# One migrator at a time; the number is an arbitrary constant of this project.
_LOCK = "SELECT pg_advisory_xact_lock(7166418213)"
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of migrations/: its number, its name, its SQL."""

    version: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """All migrations that this code knows, in order."""
    found = [
        Migration(int(match[1]), match[2], entry.read_text("utf-8"))
        for entry in files("headrace.ledger").joinpath("migrations").iterdir()
        if (match := re.fullmatch(r"(\d{4})_(\w+)\.sql", entry.name))
    ]
    return sorted(found, key=lambda migration: migration.version)


def functions() -> list[str]:
    """The SQL of functions/, which may be run again and again."""
    found = files("headrace.ledger").joinpath("functions").iterdir()
    texts = {one.name: one.read_text("utf-8") for one in found if one.name.endswith(".sql")}
    return [texts[name] for name in sorted(texts)]


async def applied(connection: Connection) -> int:
    """The number of the last migration that was applied; 0 where there is no schema."""
    exists = await connection.fetchval("SELECT to_regclass('headrace.migration') IS NOT NULL")
    if not exists:
        return 0
    version: int = await connection.fetchval(
        "SELECT coalesce(max(version), 0) FROM headrace.migration"
    )
    return version


async def check(connection: Connection) -> None:
    """Compare the schema with the code.

    Raises:
        SchemaError: it is missing, older or newer.
    """
    have, want = await applied(connection), migrations()[-1].version
    if have == 0:
        raise SchemaError("this database has no schema of headrace; run `headrace migrate`")
    if have < want:
        raise SchemaError(
            f"the schema is at {have}, this code needs {want}; run `headrace migrate`"
        )
    if have > want:
        raise SchemaError(
            f"the schema is at {have}, newer than this code ({want}); upgrade headrace"
        )


async def migrate(url: str) -> list[Migration]:
    """Bring the schema up to this code; returns what was applied.

    A migration that cannot get its lock in two seconds is tried again, so that it never queues
    for long in front of the traffic.

    Raises:
        ConfigError: the URL is none of PostgreSQL.
        LedgerUnavailable: PostgreSQL cannot be reached.
        SchemaError: the schema is newer than this code, or a lock could not be had.
    """
    connection = await connect(url)
    try:
        with translated():
            done = []
            while migration := await _next(connection):
                await _apply(connection, migration)
                done.append(migration)
            async with connection.transaction():
                await check(connection)
            return done
    finally:
        await connection.close()


async def version(url: str) -> int:
    """The number of the last migration that a database has; 0 where there is no schema.

    Raises:
        ConfigError: the URL is none of PostgreSQL.
        LedgerUnavailable: PostgreSQL cannot be reached.
    """
    connection = await connect(url)
    try:
        with translated():
            async with connection.transaction():
                return await applied(connection)
    finally:
        await connection.close()


async def connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection whose statements may take their time, and prepare nothing.

    Whether PgBouncer stands in between is no question then, as long as all is in transactions.

    Raises:
        ConfigError: the URL is none of PostgreSQL.
        LedgerUnavailable: refused, wrong password, unknown database, or no answer.
    """
    with reaching(url):
        return await asyncpg.connect(url, timeout=10, statement_cache_size=0)


def script() -> str:
    """All migrations as one SQL script for an empty database, for whoever applies them by hand."""
    steps = [f"{one.sql.rstrip()}\n{_entry(one)}\n" for one in migrations()]
    return "\n".join(["BEGIN;", _BOOK, *steps, *functions(), "COMMIT;"])


def _entry(one: Migration) -> str:
    values = f"({one.version}, '{one.name}')"
    return f"INSERT INTO headrace.migration (version, name) VALUES {values};"  # noqa: S608 - names of our files


async def _next(connection: asyncpg.Connection) -> Migration | None:
    async with connection.transaction():
        have = await applied(connection)
    return next((one for one in migrations() if one.version > have), None)


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    for attempt in range(1, _TRIES + 1):
        try:
            async with connection.transaction():
                await connection.execute(_LOCK)
                await connection.execute("SET LOCAL lock_timeout = '2s'")
                await connection.execute(_BOOK)
                if await applied(connection) < migration.version:
                    await connection.execute(migration.sql)
                    if migration == migrations()[-1]:
                        await connection.execute("\n".join(functions()))
                    await connection.execute(
                        "INSERT INTO headrace.migration (version, name) VALUES ($1, $2)",
                        migration.version,
                        migration.name,
                    )
        except asyncpg.LockNotAvailableError as exc:
            if attempt == _TRIES:
                raise SchemaError(
                    f"migration {migration.version} could not get a lock in {_TRIES} tries; "
                    "end long transactions on the tables of headrace and run it again"
                ) from exc
        else:
            return
