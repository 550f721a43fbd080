"""Every service is started and stopped again and again while jobs flow."""

import asyncio

import asyncpg
import pytest

from headrace import Headrace
from headrace.relay.services import services
from headrace.worker.worker import Worker

TIMES = 30
OVER = "SELECT count(*) = $1 FROM headrace.job WHERE state = 2"


@pytest.fixture
async def busy_app(app: Headrace) -> Headrace:
    @app.task(queue="stress", max_attempts=100)
    async def quick(number: int) -> int:
        await asyncio.sleep(0)
        return number

    await app.declare()
    return app


async def test_services_start_and_stop(busy_app: Headrace) -> None:
    before = asyncio.all_tasks()
    for turn in range(TIMES):
        loops = services(busy_app.engine)
        assert loops
        for loop in loops:
            loop.start()
            loop.start()
            loop.wake()
        if turn % 2:
            await asyncio.sleep(0)
        await asyncio.gather(*(loop.stop() for loop in loops))
        for loop in loops:
            loop.start()
        await asyncio.gather(*(loop.stop() for loop in loops), *(loop.stop() for loop in loops))
        assert asyncio.all_tasks() == before


async def test_workers_start_and_stop(busy_app: Headrace, sql: asyncpg.Connection) -> None:
    quick = busy_app.tasks["quick"]
    before = asyncio.all_tasks()
    for turn in range(TIMES):
        await busy_app.enqueue_many([quick.job(number) for number in range(10)])
        workers = [Worker(busy_app, {"stress": 3}) for _ in range(2)]
        await asyncio.gather(*(worker.start() for worker in workers))
        if turn % 2:
            await asyncio.sleep(0)
        await asyncio.gather(*(worker.stop() for worker in workers))
        assert asyncio.all_tasks() == before
    await asyncio.wait_for(Worker(busy_app, {"stress": 10}).run(burst=True), 30)
    assert await sql.fetchval(OVER, 10 * TIMES)
    assert await sql.fetchval("SELECT bool_and(reaped_at IS NOT NULL) FROM headrace.worker")
    assert await sql.fetchval("SELECT sum(failures + crashes) FROM headrace.job") == 0


async def test_applications_start_and_stop_at_once(migrated_url: str) -> None:
    app = Headrace("tests", database_url=migrated_url)
    before = asyncio.all_tasks()

    async def once() -> None:
        async with app:
            assert await app.get_many([]) == []

    for _ in range(TIMES):
        await asyncio.gather(*(once() for _ in range(5)))
    assert asyncio.all_tasks() == before
