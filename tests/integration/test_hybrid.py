"""The ledger and the lane together, while the lane loses its data, dies, hangs or is switched."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import asyncpg
import pytest
import redis.asyncio

from headrace import Context, Headrace, State
from headrace.connect import inspecting
from headrace.embedded import EmbeddedValkey
from headrace.engines.ledgered import LedgeredEngine
from headrace.errors import LaneUnavailable
from headrace.lanes.redis.lane import RedisLane
from headrace.ledger.postgres import PostgresLedger
from headrace.model.entry import Caps
from headrace.model.inspection import Answer
from headrace.model.lane_view import Mode
from headrace.ports.inspector import Inspector
from headrace.relay.relay import Relay
from headrace.relay.services import services
from headrace.relay.switch import switch_off, switch_on
from headrace.testing.lanes.rig import entry
from headrace.worker.worker import Worker
from integration import served
from lanes import frozen

LEASE = 1.5


@pytest.fixture
async def app(migrated_url: str, valkey: EmbeddedValkey) -> AsyncIterator[Headrace]:
    app = Headrace("tests", database_url=migrated_url, redis_url=valkey.url, lease=f"{LEASE}s")
    app.queue("work")
    async with app:
        loops = services(app.engine, lease=LEASE)
        for loop in loops:
            loop.start()
        await until(lambda: in_mode(app, Mode.HYBRID))
        yield app
        await asyncio.gather(*(loop.stop() for loop in loops))


def engine_of(app: Headrace) -> LedgeredEngine:
    assert isinstance(app.engine, LedgeredEngine)
    return app.engine


async def in_mode(app: Headrace, mode: Mode) -> bool:
    engine = engine_of(app)
    engine.heed(await engine.ledger.lanes.view())
    return engine.view.mode is mode


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    await served.until(condition, 30.0)


@asynccontextmanager
async def working(app: Headrace, concurrency: int = 10) -> AsyncIterator[Worker]:
    worker = Worker(app, {"work": concurrency})
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def all_over(sql: asyncpg.Connection) -> bool:
    live: int = await sql.fetchval("SELECT count(*) FROM headrace.job WHERE state = 0")
    return live == 0


async def test_jobs_travel_by_the_lane_and_leave_nothing_in_it(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task(queue="work")
    async def double(number: int) -> int:
        return 2 * number

    jobs = await app.enqueue_many([double.job(number) for number in range(300)])
    async with working(app):
        assert [await job.result("20s") for job in jobs] == [2 * n for n in range(300)]
    owned = await sql.fetchval("SELECT count(*) FROM headrace.job WHERE claim_no IS NOT NULL")
    assert owned == 0  # not one was claimed in PostgreSQL
    lane = engine_of(app).lane
    assert lane is not None
    depth = await lane.depth(engine_of(app).view.epoch, "work")
    assert (sum(depth.ready.values()), depth.delayed) == (0, 0)


async def test_nothing_is_lost_when_the_lane_is_flushed(
    app: Headrace, valkey: EmbeddedValkey, sql: asyncpg.Connection
) -> None:
    ran: list[int] = []
    turnstile = asyncio.Semaphore(0)

    @app.task(queue="work")
    async def note(number: int) -> None:
        await turnstile.acquire()
        ran.append(number)

    await app.enqueue_many([note.job(number) for number in range(200)])
    async with working(app), redis.asyncio.from_url(valkey.url) as client:
        for _ in range(2):
            count = len(ran)
            open_turnstile(turnstile, 20)
            await until(lambda count=count: some_more(ran, count))  # type: ignore[misc]
            await client.flushall()
        open_turnstile(turnstile, 1000)
        await until(lambda: all_over(sql))
    assert sorted(set(ran)) == list(range(200))
    assert await sql.fetchval("SELECT count(*) FROM headrace.job WHERE state = 2") == 200


def open_turnstile(turnstile: asyncio.Semaphore, runs: int) -> None:
    """Let so many runs pass: how far the others get does not hang on the machine's speed."""
    for _ in range(runs):
        turnstile.release()


async def some_more(ran: list[int], count: int) -> bool:
    return len(ran) > count + 5


async def test_nothing_is_lost_when_the_lane_is_killed_and_comes_back(
    app: Headrace, valkey: EmbeddedValkey, sql: asyncpg.Connection
) -> None:
    ran: list[int] = []

    @app.task(queue="work")
    async def note(number: int) -> None:
        ran.append(number)
        await asyncio.sleep(0.01)  # the handler's work

    await app.enqueue_many([note.job(number) for number in range(100)])
    async with working(app):
        await until(lambda: some_more(ran, 0))
        valkey.kill()
        await app.enqueue_many([note.job(number) for number in range(100, 150)])
        valkey.start()
        await until(lambda: all_over(sql))
    assert sorted(set(ran)) == list(range(150))


async def test_the_lane_is_switched_off_and_on_by_command_while_jobs_run(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    ran: list[tuple[int, int]] = []

    @app.task(queue="work")
    async def note(ctx: Context, number: int) -> None:
        ran.append((number, ctx.attempt))
        await asyncio.sleep(0.005)  # the handler's work

    lanes, lane = engine_of(app).ledger.lanes, engine_of(app).lane
    await app.enqueue_many([note.job(number) for number in range(100)])
    async with working(app):
        await switch_off(lanes, lane)
        await app.enqueue_many([note.job(number) for number in range(100, 200)])
        await until(lambda: all_over(sql))
        await switch_on(lanes, lane)
        await until(lambda: in_mode(app, Mode.HYBRID))
        await app.enqueue_many([note.job(number) for number in range(200, 300)])
        await until(lambda: all_over(sql))
    assert sorted(number for number, _ in ran) == list(range(300))
    assert {attempt for _, attempt in ran} == {1}


async def test_no_cancelled_job_starts_after_the_answer_while_workers_take_them(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    started: dict[UUID, float] = {}

    @app.task(queue="work")
    async def note(ctx: Context) -> None:
        started[ctx.job_id] = time.monotonic()
        await asyncio.sleep(0.02)  # the handler's work: most of the jobs are still waiting

    await until(lambda: calm(app))  # before, nobody could tell what runs under another epoch
    answers: dict[UUID, tuple[Answer, float]] = {}
    async with inspecting(app.settings) as inspector, working(app, concurrency=2):
        for _ in range(15):
            jobs = await asyncio.gather(*(note.enqueue() for _ in range(20)))
            ids = [job.id for job in jobs[::2]]
            for start in range(0, len(ids), 2):
                some = ids[start : start + 2]
                told = await inspector.cancel(some, "tests:operator")
                answers.update((one, (told[one], time.monotonic())) for one in some)
        await until(lambda: all_over(sql))
    done = {one: at for one, (answer, at) in answers.items() if answer is Answer.DONE}
    assert done
    assert [one for one, at in done.items() if started.get(one, 0.0) > at] == []
    rows = await sql.fetch("SELECT id, state, error::text FROM headrace.job")
    cancelled = {row["id"] for row in rows if row["state"] == 4}
    assert all("tests:operator" in row["error"] for row in rows if row["id"] in cancelled)
    unsure = {one for one, (answer, _) in answers.items() if answer is Answer.STARTING}
    # Who has one that shall end is asked: that comes before its end, or too late.
    asked = {one for one, (answer, _) in answers.items() if answer is Answer.ASKED}
    assert done.keys() | unsure <= cancelled <= done.keys() | unsure | asked
    assert {row["id"] for row in rows} - cancelled <= started.keys()


async def calm(app: Headrace) -> bool:
    return (await engine_of(app).ledger.lanes.view()).calm


async def test_a_paused_queue_starts_nothing_and_goes_on_when_resumed(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    started: list[int] = []
    paused = asyncio.Event()

    @app.task(queue="work")
    async def note(number: int) -> None:
        started.append(number)
        await paused.wait()

    async with inspecting(app.settings) as inspector, working(app):
        await app.enqueue_many([note.job(number) for number in range(300)])
        await until(lambda: some_more(started, 0))
        await inspector.pause("work")
        paused.set()
        await until(lambda: none_running(inspector))
        count = len(started)
        assert count < 300
        assert (await inspector.queue("work")).available == 300 - count
        await app.enqueue_many([note.job(300)])
        await until(lambda: in_the_lane(app, 301 - count))
        other = uuid4()
        await app.engine.register(other, "here", 1, {"work": 1}, LEASE)
        await app.engine.beat(other, [], 0)
        assert (await app.engine.take(other, "work", 1, 5)).deliveries == []
        assert len(started) == count
        await inspector.resume("work")
        await until(lambda: all_over(sql))
    assert sorted(started) == list(range(301))


async def none_running(inspector: Inspector) -> bool:
    return (await inspector.queue("work")).running == 0


async def in_the_lane(app: Headrace, count: int) -> bool:
    lane = engine_of(app).lane
    assert lane is not None
    depth = await lane.depth(engine_of(app).view.epoch, "work")
    return sum(depth.ready.values()) == count


async def test_enqueue_does_not_wait_for_a_dead_or_hanging_lane(
    app: Headrace, valkey: EmbeddedValkey
) -> None:
    @app.task(queue="work")
    async def nothing() -> None:
        pass

    async def p99() -> float:
        taken = []
        for _ in range(100):
            began = time.perf_counter()
            await nothing.enqueue()
            taken.append(time.perf_counter() - began)
        return sorted(taken)[98]

    # In turns, and the quietest round of each: a wait for the lane would be in all of them.
    usual, hanging = [], []
    for _ in range(5):
        usual.append(await p99())
        with frozen(valkey):
            hanging.append(await p99())
    valkey.kill()
    dead = [await p99() for _ in range(5)]
    valkey.start()
    assert min(hanging) < min(usual) + 0.02
    assert min(dead) < min(usual) + 0.02


@pytest.mark.usefixtures("app")
async def test_a_process_that_does_not_know_the_lane_says_so_and_lives(migrated_url: str) -> None:
    engine = LedgeredEngine(PostgresLedger(migrated_url))
    await engine.start()
    worker = uuid4()
    await engine.register(worker, "here", 1, {"work": 1}, LEASE)
    assert (await engine.beat(worker, [], 0)).alive
    with pytest.raises(LaneUnavailable, match="this process has no redis_url; configure it"):
        await engine.take(worker, "work", 1, 1)
    await engine.stop()


async def test_a_relay_that_stops_lets_another_lead_at_once(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    lanes, lane = engine_of(app).ledger.lanes, engine_of(app).lane
    await sql.execute("DELETE FROM headrace.leader")
    assert await lanes.lead("relay", ours := uuid4(), 60.0)
    first = Relay(lanes, lane)
    first.loop.start()
    await first.loop.stop()
    assert await lanes.lead("relay", ours, 0.0)  # what does not lead takes nothing away
    second = Relay(lanes, lane)
    second.loop.start()
    await until(lambda: leads(sql, second))
    await second.loop.stop()
    assert await lanes.lead("relay", ours, 60.0)


async def leads(sql: asyncpg.Connection, relay: Relay) -> bool:
    holder: object = await sql.fetchval("SELECT holder FROM headrace.leader WHERE role = 'relay'")
    return holder == relay._leadership.holder


async def test_a_silent_workers_jobs_run_elsewhere_and_its_outcome_is_refused(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    go = asyncio.Event()
    attempts: list[int] = []

    @app.task(queue="work")
    async def hold(ctx: Context) -> int:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            await go.wait()
        return ctx.attempt

    job = await hold.enqueue()
    silent = Worker(app, {"work": 1})
    await silent.start()
    await until(lambda: running(app, job.id))
    await silent._heartbeat.stop()  # as if the process were frozen
    async with working(app):
        assert await job.result("20s") == 2
        go.set()
        await silent.stop()
    await job.refresh()
    assert job.state is State.COMPLETED
    assert await sql.fetchval("SELECT result::text FROM headrace.job") == "2"
    assert await sql.fetchval("SELECT crashes FROM headrace.job") == 1


async def running(app: Headrace, job_id: object) -> bool:
    (job,) = await app.engine.get([job_id])  # type: ignore[list-item]
    return job.state is State.RUNNING


async def test_a_last_attempt_is_claimed_in_the_ledger(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task(queue="work", max_attempts=1)
    async def once(ctx: Context) -> int:
        return ctx.attempt

    job = await once.enqueue()
    async with working(app):
        assert await job.result("20s") == 1
    assert await sql.fetchval("SELECT claim_no IS NOT NULL AND gen = 2 FROM headrace.job")


async def test_a_backlog_larger_than_the_lane_is_refilled_in_order(
    migrated_url: str, lane_url: str, sql: asyncpg.Connection
) -> None:
    """A lane of 50 entries a level carries 1,000 jobs of two levels."""
    app = Headrace("tests", database_url=migrated_url, redis_url=lane_url, lease=f"{LEASE}s")
    app.queue("work")
    ran: list[int] = []

    @app.task(queue="work")
    async def note(number: int) -> None:
        ran.append(number)

    async with app:
        engine = engine_of(app)
        small = RedisLane(lane_url, lease=LEASE, caps=Caps(level=50))
        await small.open()
        relay = Relay(engine.ledger.lanes, small, grace=1.0, cap=50)
        relay.loop.start()
        await until(lambda: in_mode(app, Mode.HYBRID))
        assert engine.lane is not None
        await engine.lane.limit(engine.view.epoch, {"work": 50})
        await app.enqueue_many([note.job(number) for number in range(1000)])
        async with working(app, concurrency=20):
            await until(lambda: all_over(sql))
        await relay.loop.stop()
        await small.close()
    assert sorted(ran) == list(range(1000))


async def test_a_stale_entry_leaves_the_lane_whenever_its_taker_beats(app: Headrace) -> None:
    """A beat right after the take gives back nothing that the ledger refused."""
    engine = engine_of(app)
    lane, epoch, worker = engine.lane, engine.view.epoch, uuid4()
    assert lane is not None
    await engine.register(worker, "here", 1, {"work": 1}, LEASE)
    await lane.put(epoch, [entry(queue="work")])  # the ledger has no such job
    assert (await engine.take(worker, "work", 1, 10)).deliveries == []
    await lane.beat(epoch, worker, (), 1)
    assert sum((await lane.depth(epoch, "work")).ready.values()) == 0
