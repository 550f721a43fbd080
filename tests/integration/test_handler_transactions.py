"""What a handler's SQL meets in ctx.transaction(): the server's own settings, and true errors."""

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from headrace import Context, Headrace, JobDead, JobHandle, RetryPolicy, State
from headrace.ledger import pool
from headrace.ledger.postgres import PostgresLedger
from headrace.model.verdict import completed
from headrace.worker.worker import Worker
from integration.ledgers import add, claim, hire
from integration.served import until

SETTINGS = """SELECT name, setting FROM pg_settings
              WHERE name <> 'application_name' AND (name ~ '^(enable_|jit|plan_|work_)'
                    OR name IN ('statement_timeout', 'lock_timeout', 'search_path'))"""
SCANS = "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname ~ '^job_(2|default)'"
KILL_ME = "SELECT pg_terminate_backend(pg_backend_pid())"


async def run(app: Headrace) -> None:
    await Worker(app, {"q": 1}).run(burst=True)


async def test_sql_of_a_handler_runs_under_the_servers_own_settings(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    met: list[Sequence[object]] = []
    names: list[str] = []

    async def look(tx: Any) -> None:
        met.append(await tx.fetch(SETTINGS))

    @app.task(queue="q", max_attempts=1)
    async def several(ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await look(tx)
            names.append(await tx.fetchval("SHOW application_name"))
        with contextlib.suppress(ZeroDivisionError):
            async with ctx.transaction() as tx:
                await look(tx)
                raise ZeroDivisionError
        async with ctx.transaction() as tx:
            async with ctx.transaction() as inner:
                await look(inner)
            await look(tx)

    await several.enqueue()
    await run(app)
    assert met == [await sql.fetch(SETTINGS)] * 4
    assert names == ["headrace"]


@pytest.mark.parametrize("joined", [False, True])
async def test_the_completion_in_a_handlers_transaction_walks_an_index_however_the_table_grew(
    migrated_url: str, sql: asyncpg.Connection, *, joined: bool
) -> None:
    """A plan made while the table was small would scan it until autovacuum has looked."""
    engine = create_async_engine(migrated_url.replace("postgresql://", "postgresql+asyncpg://"))
    ledger = PostgresLedger(migrated_url)
    await ledger.open()
    try:
        await ledger.declare((), ["q"])
        await add(ledger, 20)
        await sql.execute("ANALYZE headrace.job")
        before = await sql.fetchval(SCANS)
        worker = await hire(ledger)
        for one in await claim(ledger, worker, 10):
            async with ledger.transaction(AsyncSession(engine) if joined else None) as tx:
                async with tx.block():
                    await tx.handle.execute(text("SELECT 1") if joined else "SELECT 1")
                assert await tx.commit(worker, completed(one, None, 0.1))
    finally:
        await ledger.close()
        await engine.dispose()
    # Its connections tell what they did when they end.
    await until(lambda: is_alone(sql))
    assert await sql.fetchval(SCANS) == before


async def is_alone(sql: asyncpg.Connection) -> bool:
    others: int = await sql.fetchval(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return not others


async def test_a_long_statement_of_a_handler_is_bounded_by_the_jobs_timeout_alone(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "PATIENCE", 1.0)
    app = Headrace("tests", database_url=migrated_url)

    @app.task(queue="q", max_attempts=1)
    async def sleep(ctx: Context, seconds: float) -> str:
        async with ctx.transaction() as tx:
            await tx.execute("SELECT pg_sleep($1)", seconds)
        return "slept"

    @app.task(queue="q", max_attempts=1, timeout="300ms")
    async def too_long(ctx: Context) -> str:
        return str(await sleep.fn(ctx, 30.0))

    async with app:
        slept, cut = await sleep.enqueue(1.5), await too_long.enqueue()
        await run(app)
        assert await slept.result("1s") == "slept"
        with pytest.raises(JobDead, match=r"passed its timeout of 0:00:00\.3"):
            await cut.result("1s")


async def failures(sql: asyncpg.Connection, job: JobHandle[Any]) -> list[tuple[str, str]]:
    """Type and message of each failure in the job's history."""
    rows = await sql.fetch(
        """SELECT data ->> 'type' AS type, data ->> 'message' AS message FROM headrace.job_event
           WHERE job_id = $1 ORDER BY gen""",
        job.id,
    )
    return [(row["type"], row["message"]) for row in rows]


async def test_a_connection_killed_in_a_block_is_told_as_it_was_and_the_job_runs_again(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task(queue="q", retry=RetryPolicy(steps=(timedelta(0),)))
    async def lose(ctx: Context) -> int:
        async with ctx.transaction() as tx:
            if ctx.attempt == 1:
                await tx.execute(KILL_ME)
            if ctx.attempt == 2:
                async with tx.transaction():
                    await tx.execute(KILL_ME)
        return ctx.attempt

    job = await lose.enqueue()
    await run(app)
    assert await job.result("1s") == 3
    told = await failures(sql, job)
    assert len(told) == 2
    for kind, message in told:
        assert kind in {"AdminShutdownError", "ConnectionDoesNotExistError"}
        assert message.endswith("terminating connection due to administrator command")


async def test_a_connection_lost_while_idle_hides_no_error_of_the_handler(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task(queue="q", max_attempts=1)
    async def lose(ctx: Context) -> None:
        async with ctx.transaction() as tx:
            pid = await tx.fetchval("SELECT pg_backend_pid()")
            assert await sql.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
            raise ValueError("the cause")

    job = await lose.enqueue()
    await run(app)
    assert (await job.refresh()).state is State.DEAD
    assert await failures(sql, job) == [("ValueError", "the cause")]


async def test_a_session_whose_connection_is_killed_hides_no_error_either(
    app: Headrace, sql: asyncpg.Connection, migrated_url: str
) -> None:
    engine = create_async_engine(migrated_url.replace("postgresql://", "postgresql+asyncpg://"))

    @app.task(queue="q", max_attempts=1)
    async def lose(ctx: Context) -> None:
        async with ctx.transaction(session=AsyncSession(engine)) as session:
            pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            assert await sql.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
            raise ValueError("the cause")

    job = await lose.enqueue()
    await run(app)
    assert await failures(sql, job) == [("ValueError", "the cause")]
    await engine.dispose()


async def test_an_error_caught_inside_a_block_is_told_where_the_block_ends(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task(queue="q", max_attempts=1)
    async def swallow(ctx: Context) -> None:
        async with ctx.transaction() as tx:
            with contextlib.suppress(asyncpg.UndefinedTableError):
                await tx.execute("SELECT * FROM nowhere")

    job = await swallow.enqueue()
    await run(app)
    ((kind, message),) = await failures(sql, job)
    assert kind == "UsageError"
    assert "async with tx.transaction()" in message


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
async def test_a_transaction_that_the_handler_ends_itself_is_no_completion(
    app: Headrace, sql: asyncpg.Connection, end: str
) -> None:
    @app.task(queue="q", max_attempts=1)
    async def impatient(ctx: Context) -> None:
        with contextlib.suppress(Exception):
            async with ctx.transaction() as tx:
                await tx.execute(end)

    job = await impatient.enqueue()
    await run(app)
    ((kind, message),) = await failures(sql, job)
    assert kind == "UsageError"
    assert "leave COMMIT and ROLLBACK to headrace" in message


async def test_a_session_that_cannot_be_closed_hides_no_error_of_the_handler(
    app: Headrace, sql: asyncpg.Connection, migrated_url: str
) -> None:
    engine = create_async_engine(migrated_url.replace("postgresql://", "postgresql+asyncpg://"))

    class Unclosable(AsyncSession):
        async def close(self) -> None:
            await super().close()
            raise OSError("no good-bye")

    @app.task(queue="q", max_attempts=1)
    async def fail(ctx: Context) -> None:
        async with ctx.transaction(session=Unclosable(engine)):
            raise ValueError("the cause")

    job = await fail.enqueue()
    await run(app)
    assert await failures(sql, job) == [("ValueError", "the cause")]
    await engine.dispose()


async def test_a_job_starts_and_ends_when_it_does_not_when_its_transaction_began(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task(queue="q")
    async def slow(ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("SELECT pg_sleep(0.5)")

    job = await slow.enqueue()
    before = await sql.fetchval("SELECT clock_timestamp()")
    await run(app)
    (done,) = await app.get_many([job.id])
    assert done.started_at is not None
    assert done.settled_at is not None
    assert before <= done.started_at
    assert timedelta(seconds=0.5) <= done.settled_at - done.started_at
    assert done.settled_at <= await sql.fetchval("SELECT clock_timestamp()")
