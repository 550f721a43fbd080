"""Which code works on which schema, and what a migration may do to those who work meanwhile."""

import asyncio
import re
from collections.abc import Callable

import asyncpg
import pytest

from headrace import Headrace, SchemaError, State
from headrace.ledger import migrate as migrating
from headrace.ledger.doctor import examine
from headrace.ledger.migrate import Migration, functions, migrate, migrations, newest
from headrace.ledger.postgres import PostgresLedger
from headrace.worker.worker import Worker
from integration.served import until
from jobsmith import smith_at

LATER = newest() + 1
ADDS = Migration(LATER, "later", "ALTER TABLE headrace.job ADD COLUMN later int DEFAULT 7;")
BREAKS = Migration(
    LATER + 1, "gone", f"-- oldest code: {LATER}\nALTER TABLE headrace.queue DROP COLUMN paused;"
)
TAKES_AWAY = re.compile(
    r"\bDROP\s+(TABLE|COLUMN|FUNCTION|TYPE|VIEW)|\bRENAME\b|\bSET\s+NOT\s+NULL"
    r"|\bALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE",
    re.IGNORECASE,
)
ADDED = re.compile(r"\bADD\s+(?!CONSTRAINT)[^,;]*", re.IGNORECASE)
ROLLING_SINCE = 15
WAITS = """
    SELECT EXISTS (SELECT FROM pg_stat_activity
                   WHERE wait_event_type = 'Lock' AND query LIKE '%COLUMN later%'
                     AND datname = current_database())
"""


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """From now on a later version of the code has these migrations, too."""

    def release(*more: Migration) -> None:
        known = [*migrations(), *more]
        monkeypatch.setattr(migrating, "migrations", lambda: known)

    return release


async def test_code_works_on_a_schema_that_was_added_to(
    migrated_url: str, released: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    released(ADDS)
    assert await migrate(migrated_url) == [ADDS]
    monkeypatch.undo()  # as if the earlier code were started again
    app = Headrace("tests", database_url=migrated_url)

    @app.task()
    async def plain() -> int:
        return 1

    async with app:
        job = await plain.enqueue()
        await Worker(app, {"default": 1}).run(burst=True)
        assert (await app.get(job.id)).state is State.COMPLETED
    assert await migrate(migrated_url) == []
    (schema,) = [one for one in await examine(migrated_url) if one.name == "schema"]
    told = f"at {LATER}, later than this code ({newest()}), which works with it"
    assert schema.text == told


async def test_code_is_refused_where_a_migration_took_away(
    migrated_url: str, sql: asyncpg.Connection
) -> None:
    await sql.execute(
        "INSERT INTO headrace.migration (version, name, oldest_code) VALUES ($1, 'gone', $2)",
        BREAKS.version,
        BREAKS.oldest_code,
    )
    told = (
        f"the schema is at {LATER + 1} and needs code of {LATER} or later, this is of {newest()}; "
        "upgrade headrace"
    )
    for refused in (PostgresLedger(migrated_url).open, lambda: migrate(migrated_url)):
        with pytest.raises(SchemaError, match=re.escape(told)):
            await refused()


async def test_a_migration_that_takes_away_spares_living_workers(
    migrated_url: str, sql: asyncpg.Connection, released: Callable[..., None]
) -> None:
    async with smith_at(migrated_url):
        released(ADDS, BREAKS)
        told = (
            f"migration {LATER + 1} needs code of {LATER} or later; "
            "living workers of earlier code: 1; stop them first"
        )
        with pytest.raises(SchemaError, match=re.escape(told)):
            await migrate(migrated_url)
    await sql.execute("UPDATE headrace.worker SET reaped_at = now()")
    assert await migrate(migrated_url) == [BREAKS]


async def test_traffic_passes_a_migration_that_waits(
    migrated_url: str,
    sql: asyncpg.Connection,
    released: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A transaction is open for long; what comes later is committed long before it ends."""
    monkeypatch.setattr(migrating, "_LOCK_TIMEOUT", "200ms")
    app = Headrace("tests", database_url=migrated_url)

    @app.task()
    async def plain() -> None: ...

    async with app:
        long = sql.transaction()
        await long.start()
        await plain.enqueue(tx=sql)
        released(ADDS)
        migration = asyncio.create_task(migrate(migrated_url))
        other = await asyncpg.connect(migrated_url)
        await until(lambda: other.fetchval(WAITS))
        await plain.enqueue()
        await long.commit()
        assert await migration == [ADDS]
        await other.close()


async def test_a_migration_without_its_lock_gives_up(
    migrated_url: str,
    sql: asyncpg.Connection,
    released: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(migrating, "_LOCK_TIMEOUT", "10ms")
    monkeypatch.setattr(migrating, "_REST", 0.01)
    released(ADDS)
    async with sql.transaction():
        await sql.execute("LOCK TABLE headrace.job IN ROW EXCLUSIVE MODE")
        with pytest.raises(SchemaError, match="could not get a lock in 10 tries; end long"):
            await migrate(migrated_url)
    assert await migrate(migrated_url) == [ADDS]


@pytest.mark.parametrize(
    "one",
    [one for one in migrations() if one.version >= ROLLING_SINCE],
    ids=lambda one: f"{one.version:04}_{one.name}",
)
def test_migrations_only_add(one: Migration) -> None:
    """Or they say by `-- oldest code: NNNN` whom they break, for which there should be a reason."""
    assert one.oldest_code or not takes_away(one.sql)


@pytest.mark.parametrize(
    ("sql", "takes"),
    [
        (BREAKS.sql, True),
        ("ALTER TABLE t ADD COLUMN c int NOT NULL;", True),
        ("ALTER TABLE t ADD c int, ADD d text NOT NULL;", True),
        ("ALTER TABLE t ALTER COLUMN c TYPE bigint;", True),
        ("ALTER TABLE t ALTER c SET NOT NULL;", True),
        ("ALTER FUNCTION f(int) RENAME TO g;", True),
        ("ALTER TABLE t ADD COLUMN c int NOT NULL DEFAULT 0, ADD d jsonb;", False),
        ("ALTER TABLE t ADD COLUMN c int DEFAULT 0 NOT NULL;", False),
        ("CREATE TABLE t (c int NOT NULL); DROP INDEX i;", False),
        ("-- DROP TABLE t\nALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID;", False),
    ],
)
def test_what_takes_away_is_told_from_what_adds(sql: str, *, takes: bool) -> None:
    assert takes_away(sql) is takes


def test_functions_may_be_brought_up_to_date_again_and_again() -> None:
    assert all("CREATE OR REPLACE" in text for text in functions())


def takes_away(sql: str) -> bool:
    """Whether earlier code may miss something, or cannot insert what is new."""
    heeded = re.sub(r"--.*", "", sql).upper()
    wanted = [one for one in ADDED.findall(heeded) if "NOT NULL" in one and "DEFAULT" not in one]
    return bool(TAKES_AWAY.search(heeded) or wanted)
