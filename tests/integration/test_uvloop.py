"""The parts that live close to the event loop, under uvloop's."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import asyncpg
import pytest
import uvloop

from headrace import Context, Headrace
from headrace.embedded import EmbeddedValkey
from headrace.engines.ledgered import LedgeredEngine
from headrace.model.lane_view import Mode
from headrace.relay.services import services
from headrace.worker.worker import Worker
from integration.served import until

LEASE = 1.5


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner


@pytest.mark.parametrize("with_lane", [False, True])
def test_a_worker_under_uvloop(
    with_lane: bool, runner: asyncio.Runner, migrated_url: str, valkey: EmbeddedValkey
) -> None:
    results = runner.run(_work(migrated_url, valkey.url if with_lane else None))
    assert results == [(1, number) for number in range(201)]


async def _work(database_url: str, redis_url: str | None) -> list[tuple[int, int]]:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
    app = Headrace("tests", database_url=database_url, redis_url=redis_url, lease=f"{LEASE}s")
    beaten = asyncio.Event()

    @app.task(queue="work")
    async def awaiting(ctx: Context, number: int) -> tuple[int, int]:
        if number == 200:
            await beaten.wait()
        return ctx.attempt, number

    @app.task(queue="work")
    def threaded(ctx: Context, number: int) -> tuple[int, int]:
        return ctx.attempt, number

    async with app:
        loops = services(app.engine, lease=LEASE)
        for loop in loops:
            loop.start()
        if redis_url is not None:
            await _until_hybrid(app)
        worker = Worker(app, {"work": 10})
        await worker.start()
        jobs = await app.enqueue_many([awaiting.job(number) for number in range(100)])
        jobs += await app.enqueue_many([threaded.job(number) for number in range(100, 200)])
        jobs.append(await awaiting.enqueue(200))
        await _until_beaten_past_its_lease(database_url)
        beaten.set()
        results = [await job.result("20s") for job in jobs]
        await worker.stop()
        await asyncio.gather(*(loop.stop() for loop in loops))
    return [(attempt, number) for attempt, number in results]


async def _until_hybrid(app: Headrace) -> None:
    engine = app.engine
    assert isinstance(engine, LedgeredEngine)

    async def hybrid() -> bool:
        engine.heed(await engine.ledger.lanes.view())
        return engine.view.mode is Mode.HYBRID

    await until(hybrid, 30.0)


async def _until_beaten_past_its_lease(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        first = await connection.fetchval("SELECT beat_at FROM headrace.worker")
        past = first + timedelta(seconds=2 * LEASE)

        async def beaten() -> bool:
            return bool(await connection.fetchval("SELECT beat_at FROM headrace.worker") >= past)

        await until(beaten, 30.0)
    finally:
        await connection.close()
