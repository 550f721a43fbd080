"""Events: what happens to jobs is told to whoever listens, wherever, and to nobody else."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis.asyncio
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from headrace import (
    Cancel,
    ConfigError,
    Context,
    Dead,
    Event,
    Headrace,
    RetryPolicy,
    Snooze,
    UnknownQueue,
    UsageError,
)
from headrace.events import Events
from headrace.model.event import Kind
from headrace.ports.bus import Message
from integration.served import MODES, served, until, working

SHOP = """
import os
from headrace import Headrace

app = Headrace("tests", database_url=os.environ["DATABASE"], redis_url=os.environ.get("REDIS"))

@app.task(queue="events")
async def greet(name: str) -> str:
    return f"hello {name}"
"""


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:
        yield app


def elsewhere(app: Headrace) -> Headrace:
    """The application as another process has it."""
    settings = app.settings
    return Headrace("tests", database_url=settings.database_url, redis_url=settings.redis_url)


async def told(events: Events, last: int) -> list[Event]:
    """What is told until so many jobs are over."""
    heard: list[Event] = []
    over = {Kind.COMPLETED, Kind.CANCELLED, Kind.DEAD}
    async with asyncio.timeout(10):
        async for event in events:
            heard.append(event)
            last -= event.kind in over
            if not last:
                break
    return heard


def of(job: Any, events: list[Event]) -> list[str]:
    return [str(event.kind) for event in events if event.job == job.id]


async def test_a_life_is_told_to_another_process(app: Headrace) -> None:
    late: set[str] = set()

    @app.task(queue="events", retry=RetryPolicy(steps=(timedelta(milliseconds=10),)))
    async def live(ctx: Context, how: str) -> str:
        await ctx.progress(0.5, "half")
        if how == "again" and ctx.attempt == 1:
            raise RuntimeError("not yet")
        if how == "late" and how not in late:
            late.add(how)
            raise Snooze("10ms")
        if how == "not":
            raise Cancel("unwanted")
        if how == "badly":
            raise Dead("of boredom")
        return "done"

    @app.task(queue="events")
    async def write(ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("SELECT 1")

    async with elsewhere(app) as there, there.events() as events:
        ways = ("again", "late", "not", "badly")
        jobs = {way: await live.enqueue(way) for way in ways}
        own = await write.enqueue()
        async with working(app):
            heard = await told(events, 5)
    begin = ["enqueued", "started", "progress"]
    assert sorted(of(jobs["not"], heard)) == sorted([*begin, "cancelled"])
    assert of(own, heard) == ["enqueued", "started", "completed"]
    assert sorted(of(jobs["again"], heard)) == sorted([*begin, "retried", *begin[1:], "completed"])
    assert sorted(of(jobs["late"], heard)) == sorted([*begin, "snoozed", *begin[1:], "completed"])
    (dead,) = [event for event in heard if event.kind is Kind.DEAD]
    assert dead.job == jobs["badly"].id
    assert dead.fields["error"] == {"type": "Dead", "message": "of boredom"}
    assert (dead.queue, dead.task, dead.attempt) == ("events", live.name, 1)
    assert dead.at.tzinfo is not None
    (retried,) = [event for event in heard if event.kind is Kind.RETRIED]
    assert retried.fields["delay"] <= 0.01
    (done,) = [one for one in heard if (one.job, one.kind) == (jobs["late"].id, Kind.COMPLETED)]
    assert done.fields["result"] == "done"


async def test_only_what_was_asked_for_is_told(app: Headrace) -> None:
    @app.task(queue="events")
    async def mine() -> None: ...

    @app.task(queue="events")
    async def other() -> None: ...

    @app.task(queue="others")
    async def far() -> None: ...

    await mine.enqueue()
    job = await mine.enqueue()
    async with app.events(queue="events", task=mine) as by_task, app.events(job=job) as by_job:
        await far.enqueue()
        await other.enqueue()
        async with working(app):
            assert {one.task for one in await told(by_task, 2)} == {mine.name}
            assert {one.job for one in await told(by_job, 1)} == {job.id}


async def test_nobody_listens_so_nothing_is_told(app: Headrace) -> None:
    published: list[Message] = []
    bus = app.engine.bus
    publish = bus.publish

    async def watch(messages: Sequence[Message]) -> None:
        published.extend(messages)
        await publish(messages)

    bus.publish = watch  # type: ignore[method-assign]

    @app.task(queue="events")
    async def work() -> None: ...

    async with working(app):
        job = await work.enqueue()
        await job.result(timeout="10s")
        await until(lambda: not app.engine.herald.open)
        async with app.events() as events:
            job = await work.enqueue()
            heard = await told(events, 1)
    assert {one.job for one in heard} == {job.id}
    assert len(published) == len(heard)


async def test_a_transaction_that_is_rolled_back_is_not_told(app: Headrace) -> None:
    @app.task(queue="events")
    async def work() -> None: ...

    engine = create_async_engine(
        str(app.settings.database_url).replace("postgresql://", "postgresql+asyncpg://")
    )
    async with app.events() as events, AsyncSession(engine) as session:
        await work.enqueue(tx=session)
        await session.rollback()
        async with session.begin():
            kept = await work.enqueue(tx=session)
        async with working(app):
            heard = await told(events, 1)
    await engine.dispose()
    assert {one.job for one in heard} == {kept.id}


async def test_a_bus_that_was_cut_makes_a_gap_and_goes_on(
    app: Headrace, sql: asyncpg.Connection, lane_url: str
) -> None:
    @app.task(queue="events")
    async def work() -> None: ...

    async with elsewhere(app) as there, there.events() as events:
        if app.settings.redis_url is None:
            assert await sql.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'headrace bus'"
            )
        else:
            async with redis.asyncio.from_url(lane_url) as client:
                assert await client.client_kill_filter(_type="pubsub")
        async with asyncio.timeout(10):
            first = await anext(aiter(events))
        assert (first.kind, first.fields) == (Kind.GAP, {"lost": None})
        await until(lambda: heard_by_others(app))
        app.engine.herald.ask_again()
        job = await work.enqueue()
        async with working(app):
            heard = await told(events, 1)
    assert of(job, heard)[-1] == "completed"


async def heard_by_others(app: Headrace) -> bool:
    return "jobs" in await app.engine.bus.heard()


async def test_who_leaves_is_told_nothing_more(app: Headrace) -> None:
    async with app.events():
        assert await heard_by_others(app)
    assert not await heard_by_others(app)


async def test_where_nothing_can_be_heard_it_says_so(migrated_url: str) -> None:
    app = Headrace("tests", database_url=migrated_url, listen=False)

    @app.task(queue="events")
    async def work() -> None: ...

    async with app:
        with pytest.raises(ConfigError, match="configure redis_url"):
            await app.events().__aenter__()
        with pytest.raises(UnknownQueue, match='"nowhere"'):
            await app.events(queue="nowhere").__aenter__()
        with pytest.raises(UsageError, match="by its name"):
            app.events(task=work.decode)  # type: ignore[arg-type]


async def test_the_command_prints_a_line_an_event(app: Headrace, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    settings = app.settings
    redis_url = {"REDIS": settings.redis_url} if settings.redis_url else {}
    command = [sys.executable, "-m", "headrace", "events", "shop:app", "--json", "--limit", "3"]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=tmp_path,
        env={**os.environ, "DATABASE": str(settings.database_url), **redis_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(30):
        assert await process.stderr.readline() == b"events from now on:\n"

    @app.task(name="shop.greet", queue="events")
    async def greet(name: str) -> str:
        return f"hello {name}"

    job = await greet.enqueue("you")
    async with working(app), asyncio.timeout(10):
        printed, _ = await process.communicate()
    lines = [json.loads(line) for line in printed.splitlines()]
    assert [line["kind"] for line in lines] == ["enqueued", "started", "completed"]
    assert {line["job"] for line in lines} == {str(job.id)}
    assert process.returncode == 0
