"""What queues promise: said by applications, and kept or not by PostgreSQL when it crashes."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from headrace import ConfigError, Headrace, UsageError
from headrace.embedded import EmbeddedPostgres
from headrace.engines.ledgered import LedgeredEngine
from headrace.ledger.inspector import LedgerInspector
from headrace.ledger.migrate import migrate
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.queries import Queries
from headrace.model.job import Ending, NewJob
from headrace.model.promise import Promise
from headrace.model.state import Stored
from integration.ledgers import claim, hire, new_job, settlement
from servers import ROOMY, postgres_from, postgres_template

LOST, KEPT, WAS_LOST = "clicks", "orders", "views"
WRITTEN = "SELECT pg_current_wal_insert_lsn() - '0/0'"
ON_DISK = "SELECT pg_current_wal_flush_lsn() - '0/0'"
WRITER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"


@asynccontextmanager
async def engine_on(url: str) -> AsyncIterator[LedgeredEngine]:
    engine = LedgeredEngine(PostgresLedger(url))
    await engine.start()
    try:
        promises = dict.fromkeys([LOST, WAS_LOST], Promise.LOSS_TOLERANT)
        await engine.declare((), [KEPT, "q"], promises)
        yield engine
    finally:
        await engine.stop()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()  # its server may be gone


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def calm(shared_directory: Path, server_directory: Path) -> Iterator[EmbeddedPostgres]:
    """A server to be killed, where nobody commits but the test."""
    settings = {**ROOMY, "autovacuum": "off"}
    with postgres_from(postgres_template(shared_directory), server_directory, settings) as server:
        yield server


async def insert(engine: LedgeredEngine, *queues: str) -> list[UUID]:
    assert isinstance(engine.ledger, PostgresLedger)
    jobs: list[NewJob] = [new_job(engine.ledger, queue=queue) for queue in queues]
    return [one.id for one in await engine.insert(jobs)]


async def test_what_a_crash_of_postgresql_loses(calm: EmbeddedPostgres) -> None:
    await migrate(calm.url)
    async with (
        engine_on(calm.url) as engine,
        connected(calm.url) as sql,
        Queries(calm.url) as queries,
    ):
        assert isinstance(engine.ledger, PostgresLedger)

        async def waits_for_the_disk(*of: str) -> tuple[list[UUID], bool]:
            before = await sql.fetchval(WRITTEN)
            ids = await insert(engine, *of)
            return ids, await sql.fetchval(ON_DISK) > before

        worker = await hire(engine.ledger)
        await insert(engine, "q")
        (ran,) = await claim(engine.ledger, worker)
        inspector = LedgerInspector(queries)
        await inspector.promise("q", Promise.LOSS_TOLERANT)
        engine.heed(await engine.ledger.lanes.view())
        await inspector.promise(WAS_LOST, Promise.STANDARD)
        assert WAS_LOST in engine.view.promises.loss_tolerant  # nobody has told it
        writer = await sql.fetchval(WRITER)
        with stopped(writer):
            kept, standard = await waits_for_the_disk(KEPT)
            more, mixed = await waits_for_the_disk(LOST, KEPT)
            last, not_any_more = await waits_for_the_disk(WAS_LOST)
            assert (standard, mixed, not_any_more) == (True, True, True)
            lost, late = await waits_for_the_disk(LOST, LOST)
            assert not late
            assert await engine.settle(worker, [Ending(ran, settlement(ran))]) == {ran.token}
            (done,) = await engine.get([ran.id])
            assert done.state == "completed"
            os.kill(writer, signal.SIGKILL)  # as its server, which waits for it
            calm.kill()
    calm.start()
    async with connected(calm.url) as sql:
        rows = await sql.fetch("SELECT id, state FROM headrace.job")
    assert {row["id"] for row in rows} == {*kept, *more, *last, ran.id}
    assert not set(lost) & {row["id"] for row in rows}
    assert {row["state"] for row in rows} == {Stored.LIVE}  # what ran will run again


async def test_two_applications_that_declare_a_queue_differently(
    migrated_url: str,
) -> None:
    mine, yours = (Headrace(name, database_url=migrated_url) for name in ("mine", "yours"))
    mine.queue("payments", promise="strict")
    yours.queue("payments", promise="loss-tolerant")
    async with mine:
        with pytest.raises(
            ConfigError,
            match=r'^queue "payments" is strict in this database, and the application declares it '
            r"loss-tolerant; .* `headrace queues promise payments loss-tolerant`$",
        ):
            await yours.start()
    undecided = Headrace("undecided", database_url=migrated_url)
    undecided.queue("payments")
    async with undecided:
        assert isinstance(undecided.engine, LedgeredEngine)
        assert undecided.engine.view.promises.strict == {"payments"}


async def test_a_promise_that_is_declared_after_the_start(migrated_url: str) -> None:
    app = Headrace("shop", database_url=migrated_url)
    app.queue("payments")
    async with app:
        app.queue("payments", promise="strict")
        await app.declare()
        assert isinstance(app.engine, LedgeredEngine)
        assert app.engine.view.promises.strict == {"payments"}


def test_one_application_says_one_thing() -> None:
    app = Headrace("shop")
    app.queue("payments", promise="strict")
    app.queue("payments")
    with pytest.raises(UsageError, match='"payments" is declared strict and loss-tolerant; say'):
        app.queue("payments", promise="loss-tolerant")
    with pytest.raises(UsageError, match="promise 'firm' is unknown; known: standard, strict, l"):
        app.queue("payments", promise="firm")
