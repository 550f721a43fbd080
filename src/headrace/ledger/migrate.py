"""Migrations: numbered, forward only, each in its own transaction with a short lock_timeout.

Each only adds, so that code of an earlier schema works on after it and may be started, too. One
that cannot says in a line of its own which code it needs at least: `-- oldest code: 0016`.

Functions that grow with the features stand in functions/, each in one piece; the last migration
brings them up to date. Who changes one adds a migration, be it of a comment alone.
"""

import asyncio
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
ALTER TABLE headrace.migration ADD COLUMN IF NOT EXISTS oldest_code int NOT NULL DEFAULT 0;
"""
# One migrator at a time; the number is an arbitrary constant of this project.
_LOCK = "SELECT pg_advisory_xact_lock(7166418213)"
# Whoever comes to a table that a migration waits for waits behind it: so it waits briefly, and lets
# them pass before it tries again (tests/migration, `test_traffic_passes_a_migration_that_waits`).
_LOCK_TIMEOUT = "1s"
_TRIES = 10
_REST = 1.0
# Who was not taken for dead, and may not be silent for so long that it could be.
_BROKEN = """
    SELECT count(*) FROM headrace.worker
    WHERE reaped_at IS NULL AND coalesce(code, 0) < $1
      AND beat_at > now() - greatest(lease, 15) * interval '1 second'
"""
_OLDEST_CODE = re.compile(r"^-- oldest code: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of migrations/: its number, its name, its SQL."""

    version: int
    name: str
    sql: str

    @property
    def oldest_code(self) -> int:
        """Code of earlier schemas than this does not work after it; 0 where it only adds."""
        said = _OLDEST_CODE.search(self.sql)
        return int(said[1]) if said else 0


def newest() -> int:
    """The schema that this code was written for."""
    return migrations()[-1].version


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
    """Compare the schema with the code; a newer one is as good if it was only added to.

    Raises:
        SchemaError: it is missing, older, or too new for this code.
    """
    have, want = await applied(connection), newest()
    if have == 0:
        raise SchemaError("this database has no schema of headrace; run `headrace migrate`")
    if have < want:
        raise SchemaError(
            f"the schema is at {have}, this code needs {want}; run `headrace migrate`"
        )
    if have > want:
        oldest = await connection.fetchval("SELECT max(oldest_code) FROM headrace.migration")
        if oldest > want:
            raise SchemaError(
                f"the schema is at {have} and needs code of {oldest} or later, this is of {want}; "
                "upgrade headrace"
            )


async def migrate(url: str) -> list[Migration]:
    """Bring the schema up to this code; returns what was applied.

    A migration that cannot get its lock in a second is tried again after a rest, so that it never
    queues for long in front of the traffic.

    Raises:
        ConfigError: the URL is none of PostgreSQL.
        LedgerUnavailable: PostgreSQL cannot be reached.
        SchemaError: the schema is too new for this code, workers live that a migration would break,
            or a lock could not be had.
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
    values = f"({one.version}, '{one.name}', {one.oldest_code})"
    return f"INSERT INTO headrace.migration (version, name, oldest_code) VALUES {values};"  # noqa: S608 - names of our files


async def _next(connection: asyncpg.Connection) -> Migration | None:
    async with connection.transaction():
        have = await applied(connection)
    return next((one for one in migrations() if one.version > have), None)


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    for attempt in range(1, _TRIES + 1):
        try:
            async with connection.transaction():
                await connection.execute(_LOCK)
                await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                await connection.execute(_BOOK)
                if await applied(connection) < migration.version:
                    await _apply_now(connection, migration)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as exc:
            if attempt == _TRIES:
                raise SchemaError(
                    f"migration {migration.version} could not get a lock in {_TRIES} tries; "
                    "end long transactions on the tables of headrace and run it again"
                ) from exc
            await asyncio.sleep(_REST)
        else:
            return


async def _apply_now(connection: asyncpg.Connection, migration: Migration) -> None:
    if migration.oldest_code:
        await _refuse_to_break_workers(connection, migration)
    await connection.execute(migration.sql)
    if migration == migrations()[-1]:
        await connection.execute("\n".join(functions()))
    await connection.execute(_entry(migration))


async def _refuse_to_break_workers(connection: asyncpg.Connection, migration: Migration) -> None:
    broken = await connection.fetchval(_BROKEN, migration.oldest_code)
    if broken:
        raise SchemaError(
            f"migration {migration.version} needs code of {migration.oldest_code} or later; "
            f"living workers of earlier code: {broken}; stop them first"
        )
