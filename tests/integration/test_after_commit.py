"""What commits with the caller's own data comes into the lane at once: no relay runs here."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import asyncpg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from chaos.lanewatch import open_lane, trust
from headrace import Headrace, State, Task
from headrace.engines.ledgered import LedgeredEngine
from headrace.engines.write_through import WriteThrough
from headrace.errors import LaneUnavailable
from headrace.worker.worker import Worker
from integration.served import until

Note = Task[[int], None]
RAN: list[int] = []


@pytest.fixture
async def app(migrated_url: str, lane_url: str) -> AsyncIterator[Headrace]:
    """In hybrid mode, and only what it puts itself is in the lane."""
    await open_lane(migrated_url, lane_url)
    app = Headrace("tests", database_url=migrated_url, redis_url=lane_url)
    async with app:
        yield app


@pytest.fixture
def note(app: Headrace) -> Note:
    RAN.clear()

    @app.task(queue="work")
    async def note(number: int) -> None:
        RAN.append(number)

    return note


@pytest.fixture
def sync_engine(migrated_url: str) -> Iterator[sessionmaker[Session]]:
    engine = create_engine(migrated_url.replace("postgresql:", "postgresql+psycopg:"))
    yield sessionmaker(engine)
    engine.dispose()


@pytest.fixture
async def async_engine(migrated_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(migrated_url.replace("postgresql:", "postgresql+asyncpg:"))
    yield engine
    await engine.dispose()


async def in_lane(app: Headrace) -> int:
    engine = app.engine
    assert isinstance(engine, LedgeredEngine)
    assert engine.lane is not None
    return sum((await engine.lane.depth(engine.view.epoch, "work")).ready.values())


async def comes(app: Headrace, jobs: int) -> None:
    """So many are in the lane, and no more."""

    async def there() -> bool:
        return await in_lane(app) == jobs

    await until(there)


async def test_asyncpg(app: Headrace, note: Note, sql: asyncpg.Connection) -> None:
    async with sql.transaction():
        await note.enqueue(1, tx=sql)
        async with sql.transaction():
            await note.enqueue(2, tx=sql)
        assert await in_lane(app) == 0
    await comes(app, 2)
    undone = sql.transaction()
    await undone.start()
    await note.enqueue(3, tx=sql)
    await undone.rollback()
    async with sql.transaction():
        await note.enqueue(4, tx=sql)
    await comes(app, 3)
    assert not sql._query_loggers  # type: ignore[attr-defined]  # nothing is left on the caller's


async def test_asyncpg_pool(app: Headrace, note: Note, migrated_url: str) -> None:
    async with asyncpg.create_pool(migrated_url, min_size=1, max_size=1) as pool:
        for number in range(2):
            async with pool.acquire() as one, one.transaction():
                await app.enqueue_many([note.job(number), note.job(number)], tx=one)
    await comes(app, 4)


async def test_sessions(app: Headrace, note: Note, sync_engine: sessionmaker[Session]) -> None:
    with sync_engine() as session:
        await note.enqueue(1, tx=session)
        with session.begin_nested():
            await note.enqueue(2, tx=session)
        assert await in_lane(app) == 0
        session.commit()
        await comes(app, 2)
        await note.enqueue(3, tx=session)
        session.rollback()
        await note.enqueue(4, tx=session)
        session.commit()
        await comes(app, 3)
    scoped = scoped_session(sync_engine)
    await note.enqueue(5, tx=scoped)
    scoped.commit()
    scoped.remove()
    await comes(app, 4)


async def test_async_sessions(app: Headrace, note: Note, async_engine: AsyncEngine) -> None:
    async with AsyncSession(async_engine) as session, session.begin():
        await note.enqueue(1, tx=session)
        async with session.begin_nested():
            await note.enqueue(2, tx=session)
        assert await in_lane(app) == 0
    await comes(app, 2)
    scoped = async_scoped_session(async_sessionmaker(async_engine), asyncio.current_task)
    await note.enqueue(3, tx=scoped)
    await scoped.commit()
    await scoped.remove()
    await comes(app, 3)


async def test_what_was_rolled_back_alone_does_not_run(
    app: Headrace, note: Note, lane_url: str, sql: asyncpg.Connection
) -> None:
    """The commit is told of, its savepoint is not: so the ledger is asked before a job runs."""
    await note.enqueue(1)  # from now on this process knows the lane's clock
    await comes(app, 1)
    await trust(lane_url)
    async with sql.transaction():
        savepoint = sql.transaction()
        await savepoint.start()
        await note.enqueue(2, tx=sql)
        await savepoint.rollback()
        await note.enqueue(3, tx=sql)
    await comes(app, 3)
    worker = Worker(app, {"work": 1})
    await worker.start()
    await until(lambda: 3 in RAN)
    await worker.stop()
    assert sorted(RAN) == [1, 3]


async def test_a_duplicate_is_put_once(app: Headrace, note: Note, sql: asyncpg.Connection) -> None:
    keyed = note.options(idempotency_key="k", tx=sql)
    async with sql.transaction():
        first = await keyed.enqueue(1)
        assert (await keyed.enqueue(1)).duplicate
        await note.options(tx=sql, delay="1h").enqueue(2)
    await comes(app, 1)
    assert (await first.refresh()).state is State.AVAILABLE


async def test_many_jobs_of_a_transaction_are_one_put(
    app: Headrace, note: Note, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    board = WriteThrough._board

    def counted(self: WriteThrough) -> tuple[int, list[object]]:
        epoch, batch = board(self)
        batches.append(len(batch))
        return epoch, [*batch]

    monkeypatch.setattr(WriteThrough, "_board", counted)
    async with sql.transaction():
        for number in range(20):
            await note.enqueue(number, tx=sql)
    await comes(app, 20)
    assert batches == [20]


async def test_the_commit_succeeds_where_the_lane_is_away(
    app: Headrace, note: Note, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = app.engine
    assert isinstance(engine, LedgeredEngine)
    asked = asyncio.Event()

    async def away(*_: object) -> None:
        asked.set()
        raise LaneUnavailable("it is away")

    monkeypatch.setattr(engine.lane, "put", away)
    async with sql.transaction():
        job = await note.enqueue(1, tx=sql)
    await asked.wait()
    assert (await job.refresh()).state is State.AVAILABLE


async def test_the_commit_succeeds_when_the_application_has_ended(
    migrated_url: str, lane_url: str, sql: asyncpg.Connection
) -> None:
    app = Headrace("tests", database_url=migrated_url, redis_url=lane_url)

    @app.task()
    async def plain() -> None: ...

    async with sql.transaction(), app:
        job = await plain.enqueue(tx=sql)
    async with app:
        assert (await job.refresh()).state is State.AVAILABLE


def test_the_commit_succeeds_when_the_loop_has_ended(
    migrated_url: str, sync_engine: sessionmaker[Session]
) -> None:
    app = Headrace("tests", database_url=migrated_url)

    @app.task()
    async def plain() -> None: ...

    async def enqueue(session: Session) -> None:
        async with app:
            await plain.enqueue(tx=session)

    with sync_engine() as session:
        asyncio.run(enqueue(session))
        session.commit()


@pytest.mark.parametrize("kind", ["asyncpg", "session"])
async def test_in_direct_mode_the_bell_rings(
    kind: str,
    migrated_url: str,
    sql: asyncpg.Connection,
    sync_engine: sessionmaker[Session],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = Headrace("tests", database_url=migrated_url)

    @app.task(queue="work")
    async def plain() -> None: ...

    async with app:
        rung = asyncio.Queue[set[str]]()
        assert isinstance(app.engine, LedgeredEngine)
        monkeypatch.setattr(app.engine.ledger.bell, "ring", rung.put_nowait)
        with ExitStack() as stack:
            session = stack.enter_context(sync_engine())
            if kind == "asyncpg":
                async with sql.transaction():
                    await plain.enqueue(tx=sql)
            else:
                await plain.enqueue(tx=session)
                session.commit()
        assert await rung.get() == {"work"}


DJANGO = """
    import os
    from urllib.parse import urlsplit

    import django
    from django.conf import settings

    from headrace import Headrace

    at = urlsplit(os.environ["HEADRACE_DATABASE_URL"])
    where = {"NAME": at.path[1:], "HOST": at.hostname, "PORT": at.port}
    who = {"USER": at.username, "PASSWORD": at.password}
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **where, **who}}
    )
    django.setup()

    from django.db import connection, transaction

    app = Headrace("shop")

    @app.task(queue="work", name="note")
    def note(number: int) -> None: ...

    with transaction.atomic():
        note.enqueue_sync(1, tx=connection)
        try:
            with transaction.atomic():
                note.enqueue_sync(2, tx=connection)
                raise LookupError
        except LookupError:
            pass
    try:
        with transaction.atomic():
            note.enqueue_sync(3, tx=connection)
            raise LookupError
    except LookupError:
        pass
    transaction.set_autocommit(False)
    note.enqueue_sync(4, tx=connection)
    transaction.commit()
    transaction.set_autocommit(True)
    with transaction.atomic():
        note.enqueue_sync(5, tx=connection)
    input()
"""


async def test_django(
    app: Headrace, note: Note, migrated_url: str, lane_url: str, sql: asyncpg.Connection
) -> None:
    """Of transactions that are not `atomic` Django knows no commit: the fourth is a relay's."""
    del note
    environment = {"HEADRACE_DATABASE_URL": migrated_url, "HEADRACE_REDIS_URL": lane_url}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        DJANGO.replace("\n    ", "\n"),
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
    )
    await comes(app, 2)
    await process.communicate(b"\n")
    assert process.returncode == 0
    assert await in_lane(app) == 2
    numbers = "SELECT array_agg((payload ->> 'number')::int ORDER BY id) FROM headrace.job"
    assert await sql.fetchval(numbers) == [1, 4, 5]
