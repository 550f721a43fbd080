"""Rate limits: never exceeded, deferring without an attempt, and never spinning."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from headrace import Context, Headrace, RateLimit, RateLimited, State
from headrace.worker.worker import Worker
from integration.served import MODES, served, until


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:
        yield app


@asynccontextmanager
async def working(app: Headrace, concurrency: int = 4) -> AsyncIterator[Worker]:
    queues = {task.queue: concurrency for task in app.tasks.values()}
    worker = Worker(app, queues)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def test_no_more_jobs_start_than_the_limit_allows(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    """Five a day: the other three wait for tomorrow, without an attempt, and others pass them."""
    ran: list[int] = []

    @app.task(limits=[RateLimit("daily", "5/day", "1000/s")])
    async def limited(n: int) -> None:
        ran.append(n)

    @app.task()
    async def free() -> str:
        return "passed"

    jobs = await app.enqueue_many([limited.job(n) for n in range(8)])
    other = await free.enqueue()
    async with working(app):
        assert await other.result(timeout="10s") == "passed"
        await until(lambda: len(ran) == 5)
        await until(lambda: put_off(sql, 3))
    for job in jobs:
        await job.refresh()
    waiting = [job for job in jobs if job.state is not State.COMPLETED]
    assert [job.state for job in waiting] == [State.SCHEDULED] * 3
    assert {(job.job.attempt, job.job.snoozes) for job in waiting} == {(0, 0)}
    assert len(ran) == 5


async def put_off(sql: asyncpg.Connection, n: int) -> bool:
    count = await sql.fetchval(
        "SELECT count(*) FROM headrace.job WHERE headers -> 'limits' ? 'waited' AND state = 0"
    )
    return bool(count == n)


async def test_what_was_put_off_runs_when_its_turn_comes(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task(limits=[RateLimit("brisk", "3/s")])
    async def limited() -> None: ...

    jobs = await app.enqueue_many([limited.job() for _ in range(7)])
    async with working(app):
        for job in jobs:
            await job.result(timeout="20s")
    stamps = await sql.fetch("SELECT started_at FROM headrace.job ORDER BY started_at")
    first, last = stamps[0][0], stamps[-1][0]
    print([str(s[0]) for s in stamps])
    assert (last - first).total_seconds() > 1.9
