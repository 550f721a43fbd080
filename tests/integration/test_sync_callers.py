"""Callers without an event loop: `..._sync`, in threads, after forks, between loops."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
from typing import Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from headrace import Headrace, JobDead, JobNotFound, LedgerUnavailable, State, Task, UsageError
from headrace.worker.worker import Worker

JOBS = "SELECT count(*) FROM headrace.job"


@pytest.fixture
def app(migrated_url: str) -> Iterator[Headrace]:
    app = Headrace("tests", database_url=migrated_url)

    @app.task(queue="work", name="double", max_attempts=1)
    async def double(number: int) -> int:
        return 2 * number

    yield app
    app.stop_sync()


@pytest.fixture
def double(app: Headrace) -> Task[[int], int]:
    return app.tasks["double"]


@pytest.fixture
def sql(migrated_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        yield connection


def count(sql: psycopg.Connection) -> int:
    row = sql.execute(JOBS).fetchone()
    assert row is not None
    return int(row[0])


def in_a_loop(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(make())


def test_every_verb(app: Headrace, double: Task[[int], int], migrated_url: str) -> None:
    job = double.enqueue_sync(21)
    assert job.state is State.AVAILABLE
    later, bad = app.enqueue_many_sync([double.options(delay="1h").job(1), double.job(2)])
    assert later.refresh_sync().state is State.SCHEDULED
    assert app.get_sync(str(bad.id)).id == bad.id
    assert {one.id for one in app.get_many_sync([job.id, bad.id, uuid4()])} == {job.id, bad.id}
    with pytest.raises(JobNotFound):
        app.get_sync(uuid4())

    async def work() -> None:
        """As another process would."""
        elsewhere = Headrace("tests", database_url=migrated_url)

        @elsewhere.task(queue="work", name="double", max_attempts=1)
        async def double(number: int) -> int:
            if number == 2:
                raise ValueError("two is refused")
            return 2 * number

        async with elsewhere:
            await Worker(elsewhere, {"work": 1}).run(burst=True)

    with ThreadPoolExecutor() as pool:
        working = pool.submit(asyncio.run, work())
        assert job.result_sync("20s") == 42
        with pytest.raises(JobDead, match="two is refused"):
            bad.result_sync("20s")
        working.result()


def test_threads_share_commits(double: Task[[int], int], sql: psycopg.Connection) -> None:
    double.enqueue_sync(0)
    with ThreadPoolExecutor(16) as pool:
        jobs = list(pool.map(double.enqueue_sync, range(400)))
    assert len({job.id for job in jobs}) == 400
    row = sql.execute("SELECT count(*), count(DISTINCT xmin::text) FROM headrace.job").fetchone()
    assert row is not None
    assert row[0] == 401
    assert row[1] < 300


def test_an_event_loop_is_not_made_to_stand_still(
    app: Headrace, double: Task[[int], int], sql: psycopg.Connection
) -> None:
    job = double.enqueue_sync(1)

    async def refused() -> None:
        with pytest.raises(UsageError, match=r"stand still; write await double.enqueue\(...\)"):
            double.enqueue_sync(1)
        with pytest.raises(UsageError, match=r"write await double.enqueue\(...\)"):
            double.options(priority=1).enqueue_sync(1)
        with pytest.raises(UsageError, match=r"write await job.result\(\)"):
            job.result_sync()
        with pytest.raises(UsageError, match="write async with app:"):
            app.start_sync()

    in_a_loop(refused)
    assert count(sql) == 1


def test_loops_come_and_go_between(
    app: Headrace, double: Task[[int], int], sql: psycopg.Connection
) -> None:
    async def request() -> None:
        async with app:
            await double.enqueue(1)
        await asyncio.to_thread(double.enqueue_sync, 1)

    for _ in range(3):
        in_a_loop(request)
        double.enqueue_sync(1)
    assert count(sql) == 9


def test_a_session_is_used_on_its_own_thread(
    double: Task[[int], int], migrated_url: str, sql: psycopg.Connection
) -> None:
    engine = create_engine(migrated_url.replace("postgresql:", "postgresql+psycopg:"))
    threads: set[int] = set()
    event.listen(
        engine, "before_cursor_execute", lambda *_, **__: threads.add(threading.get_ident())
    )
    with Session(engine) as session:
        session.execute(text("SELECT 1"))
        job = double.enqueue_sync(1, tx=session)
        assert count(sql) == 0
        session.commit()
        assert job.refresh_sync().state is State.AVAILABLE
        with session.begin_nested() as savepoint:
            double.options(tx=session).enqueue_sync(2)
            savepoint.rollback()
        double.enqueue_sync(3, tx=session)
        session.rollback()
    assert count(sql) == 1
    assert threads == {threading.get_ident()}
    engine.dispose()


def test_psycopg(double: Task[[int], int], migrated_url: str, sql: psycopg.Connection) -> None:
    with psycopg.connect(migrated_url) as connection:
        job = double.enqueue_sync(1, tx=connection)  # it begins by itself
        assert count(sql) == 0
        connection.commit()
        assert job.refresh_sync().state is State.AVAILABLE
        double.enqueue_sync(2, tx=connection)
        connection.rollback()
    with sql.transaction():
        double.enqueue_sync(3, tx=sql)
    assert count(sql) == 2
    with pytest.raises(UsageError, match=r"no open transaction.*with connection.transaction"):
        double.enqueue_sync(4, tx=sql)


DJANGO = """
    import asyncio, os
    from urllib.parse import urlsplit

    import django
    from asgiref.sync import sync_to_async
    from django.conf import settings

    from headrace import Headrace, UnknownQueue, UsageError

    at = urlsplit(os.environ["HEADRACE_DATABASE_URL"])
    where = {"NAME": at.path[1:], "HOST": at.hostname, "PORT": at.port}
    who = {"USER": at.username, "PASSWORD": at.password}
    postgres = {"ENGINE": "django.db.backends.postgresql", **where, **who}
    lite = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    settings.configure(DATABASES={"default": postgres, "lite": lite})
    django.setup()

    from django.db import connection, connections, transaction

    app = Headrace("shop")

    @app.task(queue="work")
    def note(number: int) -> None: ...

    def order(number: int) -> None:
        with transaction.atomic():
            note.enqueue_sync(number, tx=connection)

    order(1)
    try:
        with transaction.atomic():
            note.options(tx=connection).enqueue_sync(2)
            raise LookupError
    except LookupError:
        pass
    with transaction.atomic():
        try:
            with transaction.atomic():
                note.enqueue_sync(3, tx=connections["default"])
                raise LookupError
        except LookupError:
            pass
        note.enqueue_sync(4, tx=connections["default"])
    asyncio.run(sync_to_async(lambda: (order(5), connection.close()))())
    for tx in (connection, connections["lite"]):
        try:
            note.enqueue_sync(6, tx=tx)
        except UsageError as exc:
            print(exc)
    try:
        with transaction.atomic():
            note.options(queue="unknown").enqueue_sync(7, tx=connection)
    except UnknownQueue:
        print("unknown")
    connections.close_all()
"""


def test_django(migrated_url: str, sql: psycopg.Connection) -> None:
    """In a process of its own, as its settings are."""
    done = run(DJANGO, migrated_url)
    assert done.stderr == ""
    no_transaction, *others = done.stdout.splitlines()
    assert no_transaction.endswith("commit by itself; use `with transaction.atomic():`")
    assert others == [
        "tx is a connection to sqlite; jobs commit with data in PostgreSQL",
        "unknown",
    ]
    rows = sql.execute("SELECT payload->>'number' FROM headrace.job ORDER BY id").fetchall()
    assert rows == [("1",), ("4",), ("5",)]


def test_what_is_async_belongs_to_its_own_loop(
    app: Headrace, double: Task[[int], int], migrated_url: str
) -> None:
    async def by_psycopg() -> None:
        connection = await psycopg.AsyncConnection.connect(migrated_url)
        async with app, connection:
            await double.enqueue(1, tx=connection)
            await connection.rollback()
            await double.enqueue(2, tx=connection)
            await connection.commit()
            with pytest.raises(UsageError, match="belongs to an event loop"):
                await asyncio.to_thread(double.enqueue_sync, 3, tx=connection)

    async def by_others() -> None:
        engine = create_async_engine(migrated_url.replace("postgresql:", "postgresql+asyncpg:"))
        connection = await asyncpg.connect(migrated_url)
        async with AsyncSession(engine) as session:
            for tx in (session, connection):
                with pytest.raises(UsageError, match=r"belongs to an event loop; write await"):
                    await asyncio.to_thread(double.enqueue_sync, 3, tx=tx)
        await connection.close()
        await engine.dispose()

    in_a_loop(by_psycopg)
    in_a_loop(by_others)
    with psycopg.connect(migrated_url) as sql:
        assert count(sql) == 1


def test_right_after_a_fork(double: Task[[int], int], sql: psycopg.Connection) -> None:
    """The child has a portal of its own and leaves the parent's connections alone."""
    double.enqueue_sync(0)
    children = []
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                double.enqueue_sync(number)
                os._exit(0)
            except BaseException:  # noqa: BLE001 - the parent must see that it failed
                os._exit(1)
        children.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 0, 0]
    double.enqueue_sync(4)
    assert count(sql) == 5


SCRIPT = """
    from headrace import Headrace

    app = Headrace("script")

    @app.task(queue="work")
    def note(number: int) -> None: ...

    for number in range(3):
        note.enqueue_sync(number)
"""


def run(script: str, database_url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "default", "-c", dedent(script)],
        env=os.environ | {"HEADRACE_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_process_that_ends_says_good_bye(migrated_url: str, sql: psycopg.Connection) -> None:
    began = time.monotonic()
    done = run(SCRIPT, migrated_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began < 20
    assert count(sql) == 3
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    assert sql.execute(others).fetchone() == (1,)


def test_a_ledger_that_is_away_is_told() -> None:
    app = Headrace("tests", database_url="postgresql://nobody:secret@127.0.0.1:1/none")

    @app.task(queue="work")
    def note(number: int) -> None: ...

    with pytest.raises(LedgerUnavailable):
        app.start_sync()
    with pytest.raises(LedgerUnavailable):
        note.enqueue_sync(1)
