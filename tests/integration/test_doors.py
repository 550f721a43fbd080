"""What is refused when an application starts or enqueues: thing, value and fix, nothing written."""

import socket
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from headrace import (
    ConfigError,
    Headrace,
    LedgerUnavailable,
    SchemaError,
    State,
    UnknownQueue,
    UsageError,
)
from headrace.ledger import pool
from headrace.ledger.migrate import applied, migrate, migrations, version
from integration.ledgers import stored


def changed(url: str, **parts: Any) -> str:
    split = urlsplit(url)
    password, port = parts.get("password", split.password), parts.get("port", split.port)
    netloc = f"{split.username}:{password}@127.0.0.1:{port}"
    return split._replace(netloc=netloc, path=parts.get("path", split.path)).geturl()


async def refusal(url: str) -> Exception:
    with pytest.raises((LedgerUnavailable, SchemaError)) as refused:
        await Headrace("doors", database_url=url).start()
    assert str(urlsplit(url).password) not in str(refused.value)
    assert "\n" not in str(refused.value)
    return refused.value


async def test_a_wrong_password_is_told(database_url: str) -> None:
    told = await refusal(changed(database_url, password="wrong"))
    assert "refused the user or password; check the URL" in str(told)


async def test_an_unknown_database_is_told(database_url: str) -> None:
    told = await refusal(changed(database_url, path="/nowhere"))
    assert "/nowhere has no such database; create it" in str(told)


async def test_a_refused_connection_is_told(database_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nothing else answers there
        port = taken.getsockname()[1]
        told = await refusal(changed(database_url, port=port))
    assert f"PostgreSQL at 127.0.0.1:{port}/" in str(told)
    assert "cannot be reached" in str(told)
    assert "check that it runs and the URL" in str(told)


async def test_an_old_server_is_told(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is the real one; what it is compared with is raised above it."""
    monkeypatch.setattr(pool, "MINIMUM_VERSION", 990000)
    told = await refusal(database_url)
    assert isinstance(told, LedgerUnavailable)
    assert "headrace needs 99 or newer" in str(told)


async def test_a_missing_schema_is_told(database_url: str) -> None:
    told = await refusal(database_url)
    assert str(told) == "this database has no schema of headrace; run `headrace migrate`"


async def test_an_older_schema_is_told(migrated_url: str, sql: asyncpg.Connection) -> None:
    older, newest = (one.version for one in migrations()[-2:])
    await sql.execute("DELETE FROM headrace.migration WHERE version = $1", newest)
    told = await refusal(migrated_url)
    said = f"the schema is at {older}, this code needs {newest}; run `headrace migrate`"
    assert said in str(told)


async def test_migrating_again_changes_nothing(migrated_url: str, sql: asyncpg.Connection) -> None:
    assert await migrate(migrated_url) == []
    assert await applied(sql) == migrations()[-1].version


async def test_a_schema_that_vanishes_is_told(app: Headrace, sql: asyncpg.Connection) -> None:
    @app.task()
    async def plain() -> None: ...

    await plain.enqueue()
    await sql.execute("ALTER SCHEMA headrace RENAME TO elsewhere")
    with pytest.raises(SchemaError, match="run `headrace migrate`"):
        await plain.enqueue()
    await sql.execute("ALTER SCHEMA elsewhere RENAME TO headrace")
    assert await stored(sql) == 1


async def test_an_unknown_queue_is_refused_until_it_is_declared(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task()
    async def plain() -> None: ...

    app.queue("bull")
    await app.declare()
    told = (
        'queue "bulk" is unknown; did you mean "bull"? known: bull, default; '
        'declare a new one with app.queue("bulk")'
    )
    for asked in (plain.options(queue="bulk"), plain.options(queue="bulk", idempotency_key="k")):
        with pytest.raises(UnknownQueue) as refused:
            await asked.enqueue()
        assert str(refused.value) == told
    assert await stored(sql) == 0
    app.queue("bulk")
    await plain.options(queue="bulk").enqueue()
    assert await stored(sql) == 1


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nowhere.invalid", "the host of PostgreSQL at nowhere.invalid:5432/db is not known here"),
        ("a" * 64, "the database URL names a host that cannot be; write postgresql://user"),
        (".x.", "the database URL names a host that cannot be; write postgresql://user"),
        ("h\0st", "the database URL names a host that cannot be; write postgresql://user"),
        ("127.0.0.1:99999", "the database URL names the port '99999', which is no number"),
    ],
)
async def test_a_host_that_cannot_be_is_told(place: str, words: str) -> None:
    url = f"postgresql://u:secret@{place}/db"
    for connect in (Headrace("doors", database_url=url).start(), migrate(url), version(url)):
        with pytest.raises((ConfigError, LedgerUnavailable)) as refused:
            await connect
        assert str(refused.value).startswith(words)
        assert "secret" not in str(refused.value)


async def test_a_parameter_of_the_url_that_cannot_be_is_told(database_url: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be used: .*sslmode.*; change it"):
        await Headrace("doors", database_url=f"{database_url}?sslmode=nope").start()


@pytest.mark.parametrize("value", [5, None, "zz", b"x", 1.5, []])
async def test_what_is_no_id_is_refused(app: Headrace, value: Any) -> None:
    with pytest.raises(UsageError, match="is not the id of a job; give a UUID"):
        await app.get(value)
    with pytest.raises(UsageError, match="is not the id of a job; give a UUID"):
        await app.get_many([value])
    with pytest.raises(UsageError, match="get_many takes a list of ids of jobs, not 5"):
        await app.get_many(5)  # type: ignore[arg-type]  # the very mistake


async def test_what_is_no_list_of_jobs_is_refused(app: Headrace) -> None:
    @app.task()
    async def plain() -> None: ...

    for wrong in (None, 5, "abc", plain, plain.job()):
        with pytest.raises(UsageError, match=r"enqueue_many takes a list of what task\.job\("):
            await app.enqueue_many(wrong)  # type: ignore[arg-type]  # the very mistake


async def test_a_job_that_raw_sql_puts_off_for_ever_is_shown(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task()
    async def plain() -> None: ...

    await app.declare()
    never = await sql.fetchval(
        'SELECT headrace_enqueue(\'{"task": "plain", "run_at": "infinity"}\')'
    )
    found = await (await app.get(never)).refresh()
    assert (found.run_at, found.state) == (datetime(9999, 1, 1, tzinfo=UTC), State.SCHEDULED)
