"""Jobs that commit with the caller's own data, or never existed."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from headrace import Headrace, JobNotFound, State, Task, UnknownQueue, UsageError
from integration.ledgers import stored


@pytest.fixture
def greet(app: Headrace) -> Task[[str], None]:
    @app.task(queue="emails", priority="high")
    async def greet(name: str) -> None: ...

    return greet


@pytest.fixture
async def connection(migrated_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(migrated_url)
    yield connection
    await connection.close()


@pytest.fixture
async def async_engine(migrated_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(migrated_url.replace("postgresql:", "postgresql+asyncpg:"))
    yield engine
    await engine.dispose()


@pytest.fixture
def session(migrated_url: str) -> Iterator[Session]:
    engine = create_engine(migrated_url.replace("postgresql:", "postgresql+psycopg:"))
    with Session(engine) as session:
        yield session
    engine.dispose()


async def test_asyncpg(
    greet: Task[[str], None], connection: asyncpg.Connection, sql: asyncpg.Connection
) -> None:
    async with connection.transaction():
        job = await greet.enqueue("commit", tx=connection)
        assert await stored(sql) == 0
        with pytest.raises(JobNotFound, match="still open"):
            await job.refresh()
    known = await job.refresh()
    assert (known.state, known.queue, known.priority) == (State.AVAILABLE, "emails", 3)
    assert bytes(known.payload) == b'{"name": "commit"}'
    rolled_back = connection.transaction()
    await rolled_back.start()
    await greet.options(tx=connection).enqueue("rolled back")
    await rolled_back.rollback()
    async with connection.transaction():
        savepoint = connection.transaction()
        await savepoint.start()
        await greet.enqueue("savepoint", tx=connection)
        await savepoint.rollback()
    assert await stored(sql) == 1


async def test_asyncpg_pool(
    app: Headrace, greet: Task[[str], None], migrated_url: str, sql: asyncpg.Connection
) -> None:
    async with asyncpg.create_pool(migrated_url, min_size=1) as pool, pool.acquire() as one:
        async with one.transaction():
            await app.enqueue_many([greet.job("a"), greet.options(delay="1h").job("b")], tx=one)
        with pytest.raises(UsageError, match=r"no open transaction.*connection\.transaction\(\)"):
            await greet.enqueue("c", tx=one)
    states = await sql.fetch("SELECT payload ->> 'name' AS name FROM headrace.job ORDER BY run_at")
    assert [row["name"] for row in states] == ["a", "b"]


async def test_async_session(
    greet: Task[[str], None], async_engine: AsyncEngine, sql: asyncpg.Connection
) -> None:
    async with AsyncSession(async_engine) as session, session.begin():
        await session.execute(text("CREATE TABLE effect (name text)"))
        job = await greet.enqueue("commit", tx=session)
        assert await stored(sql) == 0
    assert (await job.refresh()).state is State.AVAILABLE
    async with AsyncSession(async_engine) as session:
        await greet.enqueue("rolled back", tx=session)
        await session.rollback()
    async with AsyncSession(async_engine) as session, session.begin():
        savepoint = await session.begin_nested()
        await greet.enqueue("savepoint", tx=session)
        await savepoint.rollback()
    assert await stored(sql) == 1


class _Base(DeclarativeBase):
    pass


class _Thing(_Base):
    __tablename__ = "thing"
    id: Mapped[int] = mapped_column(primary_key=True)


async def test_what_is_pending_in_a_session_fails_as_its_owner_expects(
    greet: Task[[str], None], async_engine: AsyncEngine, sql: asyncpg.Connection
) -> None:
    async with async_engine.begin() as connection:
        await connection.run_sync(_Base.metadata.create_all)
        await connection.execute(text("INSERT INTO thing VALUES (1)"))
    async with AsyncSession(async_engine) as session:
        session.add(_Thing(id=1))
        await greet.enqueue("never", tx=session)
        with pytest.raises(IntegrityError):
            await session.commit()
    async with AsyncSession(async_engine) as session, session.begin():
        session.add(_Thing(id=2))
        await greet.enqueue("with its row", tx=session)
    assert await stored(sql) == 1
    assert await sql.fetchval("SELECT count(*) FROM thing") == 2


async def test_async_connection(
    greet: Task[[str], None], async_engine: AsyncEngine, sql: asyncpg.Connection
) -> None:
    async with async_engine.begin() as connection:
        await greet.options(idempotency_key="k").enqueue("commit", tx=connection)
        assert (await greet.options(idempotency_key="k").enqueue("commit", tx=connection)).duplicate
    assert await stored(sql) == 1


async def test_sync_session(
    greet: Task[[str], None], session: Session, sql: asyncpg.Connection
) -> None:
    job = await greet.enqueue("commit", tx=session)
    assert await stored(sql) == 0
    session.commit()
    assert (await job.refresh()).state is State.AVAILABLE
    await greet.enqueue("rolled back", tx=session)
    session.rollback()
    savepoint = session.begin_nested()
    await greet.enqueue("savepoint", tx=session)
    savepoint.rollback()
    session.commit()
    assert await stored(sql) == 1


async def test_a_refusal_leaves_the_transaction_usable(
    greet: Task[[str], None], session: Session, sql: asyncpg.Connection
) -> None:
    with pytest.raises(UnknownQueue, match=r'"nowhere" is unknown; .*known: .*; declare a new one'):
        await greet.options(queue="nowhere").enqueue("x", tx=session)
    with pytest.raises(UsageError, match="contains a NUL"):
        await greet.enqueue("a\0", tx=session)
    await greet.enqueue("good", tx=session)
    session.commit()
    assert await stored(sql) == 1


async def test_a_queue_that_vanished_is_refused_in_our_words(
    app: Headrace,
    greet: Task[[str], None],
    session: Session,
    async_engine: AsyncEngine,
    sql: asyncpg.Connection,
) -> None:
    await app.enqueue_many([])  # declares what was added since the start
    await sql.execute("UPDATE headrace.queue SET name = 'renamed' WHERE name = 'emails'")
    message = r'queue "emails" is unknown; a task must declare it or an operator create it'
    with pytest.raises(UnknownQueue, match=message):
        await greet.enqueue("x", tx=session)
    async with AsyncSession(async_engine) as other:
        with pytest.raises(UnknownQueue, match=message):
            await greet.enqueue("x", tx=other)
    with pytest.raises(UnknownQueue, match=message):
        async with sql.transaction():
            await greet.enqueue("x", tx=sql)
    assert await stored(sql) == 0


async def test_what_is_no_transaction_is_refused(
    greet: Task[[str], None], migrated_url: str, sql: asyncpg.Connection
) -> None:
    with pytest.raises(UsageError, match=r"tx is a builtins\.str; give a connection of asyncpg"):
        await greet.enqueue("x", tx="session")
    with (
        psycopg.connect(migrated_url) as connection,
        pytest.raises(UsageError, match=r"tx is a psycopg\.Cursor; give a connection of asyncpg"),
    ):
        await greet.enqueue("x", tx=connection.cursor())
    assert await stored(sql) == 0


async def test_an_engine_or_a_maker_of_sessions_is_no_transaction(
    greet: Task[[str], None], async_engine: AsyncEngine, session: Session
) -> None:
    factories = [async_engine, session.bind, async_sessionmaker(async_engine), sessionmaker()]
    for factory in factories:
        with pytest.raises(
            UsageError,
            match=r"tx is a sqlalchemy\..*; give a connection of asyncpg",
        ):
            await greet.enqueue("x", tx=factory)


async def test_a_session_of_a_class_of_ones_own_is_a_session(
    greet: Task[[str], None], async_engine: AsyncEngine, sql: asyncpg.Connection
) -> None:
    class Own(AsyncSession):
        """As that of SQLModel."""

    async with Own(async_engine) as session, session.begin():
        await greet.enqueue("x", tx=session)
    assert await stored(sql) == 1


async def test_a_session_that_can_run_nothing_is_told_by_its_own_words(
    greet: Task[[str], None], async_engine: AsyncEngine
) -> None:
    unstarted = async_engine.connect()
    with pytest.raises(UsageError, match=r"tx cannot run a statement \(AsyncConnection context"):
        await greet.enqueue("x", tx=unstarted)
    with pytest.raises(UsageError, match=r"tx cannot run a statement \(.*bind"):
        await greet.enqueue("x", tx=Session())
