import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from headrace import Cancel, Context, Dead, Headrace, JobDead, JobHandle, Retry, Snooze, State
from headrace.worker.worker import Worker
from integration.served import MODES, served, until, working
from steady_pace import SteadyPace


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:
        yield app


async def test_a_job_runs_and_its_result_comes_back(app: Headrace) -> None:
    @app.task(queue="sums")
    async def add(ctx: Context, left: int, right: int = 2) -> int:
        assert ctx.attempt == 1
        return left + right

    job = await add.enqueue(40)
    async with working(app):
        assert await job.result(timeout="10s") == 42
    await job.refresh()
    assert job.state is State.COMPLETED


async def test_sync_handlers_run_in_threads(app: Headrace) -> None:
    @app.task()
    def where() -> str:
        return threading.current_thread().name

    job = await where.enqueue()
    async with working(app):
        name = await job.result(timeout="10s")
    assert name != threading.main_thread().name


async def test_a_failing_job_is_retried_then_dead_with_its_error(app: Headrace) -> None:
    attempts: list[int] = []

    @app.task(max_attempts=2, retry="exponential")
    async def fail(ctx: Context) -> None:
        attempts.append(ctx.attempt)
        raise Retry("not yet", after="0s")

    job = await fail.enqueue()
    async with working(app):
        with pytest.raises(JobDead, match="not yet"):
            await job.result(timeout="10s")
    assert attempts == [1, 2]


@pytest.mark.parametrize("raised", [False, True])
async def test_outcomes_are_returned_or_raised(app: Headrace, *, raised: bool) -> None:
    snoozes: list[int] = []

    def steer(outcome: Exception) -> Exception:
        if raised:
            raise outcome
        return outcome

    @app.task()
    async def snooze(ctx: Context) -> object:
        snoozes.append(ctx.attempt)
        return "awake" if len(snoozes) == 3 else steer(Snooze("0s"))

    @app.task()
    async def cancel() -> object:
        return steer(Cancel("no longer wanted"))

    @app.task()
    async def die() -> object:
        return steer(Dead("hopeless"))

    slept, cancelled, dead = await snooze.enqueue(), await cancel.enqueue(), await die.enqueue()
    async with working(app):
        assert await slept.result(timeout="10s") == "awake"
        for job, state in ((cancelled, State.CANCELLED), (dead, State.DEAD)):
            await until(lambda job=job: over(job))  # type: ignore[misc]
            assert job.state is state
    assert snoozes == [1, 1, 1]


async def over(job: JobHandle[Any]) -> bool:
    await job.refresh()
    return job.state is not None and job.state.final


async def test_unknown_and_undecodable_jobs_trouble_no_other(
    app: Headrace, migrated_url: str
) -> None:
    @app.task(queue="mixed")
    async def double(number: int) -> int:
        return 2 * number

    good = await double.enqueue(21)
    connection = await asyncpg.connect(migrated_url)
    raw = """SELECT headrace_enqueue(jsonb_build_object('task', $1::text, 'queue', 'mixed',
             'priority', 5, 'max_attempts', 3, 'args', $2::text::jsonb))"""
    unknown: UUID = await connection.fetchval(raw, "elsewhere", "{}")
    broken: UUID = await connection.fetchval(raw, "double", '{"number": "many"}')
    await connection.close()
    async with working(app):
        assert await good.result(timeout="10s") == 42
        job = await app.get(broken)
        with pytest.raises(JobDead, match="number"):
            await job.result(timeout="10s")

        async def left_for_another() -> bool:
            left = (await app.get(unknown)).job
            return left is not None and left.snoozes > 0 and left.failures == 0

        await until(left_for_another)


async def test_a_coroutine_past_its_timeout_is_cancelled_and_retried(app: Headrace) -> None:
    ended: list[str] = []

    @app.task(timeout="100ms", max_attempts=1)
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    job = await slow.enqueue()
    async with working(app):
        with pytest.raises(JobDead, match="timeout"):
            await job.result(timeout="10s")
    assert ended == ["cancelled"]


async def test_a_thread_past_its_timeout_keeps_its_slot_and_is_settled_by_what_it_returns(
    app: Headrace,
) -> None:
    go = threading.Event()
    order: list[str] = []

    @app.task(timeout="1s", queue="threads")
    def slow() -> str:
        go.wait(20)
        order.append("slow")
        return "late but done"

    @app.task(queue="threads")
    def quick() -> None:
        order.append("quick")

    first = await slow.enqueue()
    await quick.enqueue()
    async with working(app, concurrency=1):
        await until(lambda: is_running(first))
        loop = asyncio.get_running_loop()
        loop.call_later(1.4, go.set)
        assert await first.result(timeout="10s") == "late but done"
    assert order[0] == "slow"


async def is_running(job: JobHandle[Any]) -> bool:
    await job.refresh()
    return job.state is State.RUNNING


async def test_an_attempt_stuck_past_a_second_timeout_ends_the_worker_and_is_told_alone(
    app: Headrace,
) -> None:
    release = asyncio.Event()
    started, broken = asyncio.Event(), asyncio.Event()

    @app.task(timeout="200ms", queue="stuck", max_attempts=2, retry="seed-000")
    async def ignore() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    @app.task(queue="stuck")
    async def neighbour() -> str:
        started.set()
        await broken.wait()
        return "done in the grace"

    worker = Worker(app, {"stuck": 2}, grace=2.0)
    running = asyncio.create_task(worker.run())
    jobs: list[JobHandle[Any]] = [await neighbour.enqueue()]
    await started.wait()
    jobs.append(await ignore.enqueue())
    await worker._defect.wait()
    broken.set()
    with pytest.raises(RuntimeError, match="second timeout"):
        await running
    release.set()
    done, stuck = [await job.refresh() for job in jobs]
    assert (stuck.state, stuck.failures, stuck.crashes) == (State.RETRYABLE, 1, 0)
    assert stuck.error is not None
    assert stuck.error["type"] == "Timeout"
    assert stuck.error["message"] == (
        "the attempt passed its timeout of 0:00:00.200000 and did not end within a second one; "
        "its process was ended"
    )
    assert (done.state, done.failures, done.crashes) == (State.COMPLETED, 0, 0)


async def test_drain_releases_what_has_not_started_and_costs_no_attempt(app: Headrace) -> None:
    finish = asyncio.Event()

    @app.task(queue="drain")
    async def hold(number: int) -> int:
        await finish.wait()
        return number

    jobs = [await hold.enqueue(number) for number in range(5)]
    worker = Worker(app, {"drain": 2}, pace=lambda: SteadyPace(3))
    await worker.start()
    await until(lambda: all_claimed(app, jobs))
    stopping = asyncio.create_task(worker.stop())
    await until(lambda: some_available(app, jobs))
    finish.set()
    await stopping
    states = []
    for job in jobs:
        await job.refresh()
        states.append(job.state)
    assert Counter(states) == {State.AVAILABLE: 3, State.COMPLETED: 2}
    for one in await app.engine.get([job.id for job in jobs]):
        assert (one.failures, one.crashes) == (0, 0)


async def all_claimed(app: Headrace, jobs: Sequence[JobHandle[Any]]) -> bool:
    found = await app.engine.get([job.id for job in jobs])
    return all(one.state is State.RUNNING for one in found)


async def some_available(app: Headrace, jobs: Sequence[JobHandle[Any]]) -> bool:
    found = await app.engine.get([job.id for job in jobs])
    return sum(one.state is State.AVAILABLE for one in found) == 3


async def test_what_a_transaction_writes_commits_with_the_completion(
    app: Headrace, migrated_url: str
) -> None:
    connection = await asyncpg.connect(migrated_url)
    await connection.execute("CREATE TABLE effect (job uuid, note text)")

    @app.task(max_attempts=2, queue="tx")
    async def write(ctx: Context, end: str) -> object:
        async with ctx.transaction() as tx:
            await tx.execute("INSERT INTO effect VALUES ($1, $2)", ctx.job_id, end)
            if end == "raise inside":
                raise Dead("inside")
        if end == "raise after":
            raise Dead("after")
        if end == "snooze" and ctx.attempt == 1:
            return Cancel("a snooze would run again")
        return None

    ends = ["return", "raise inside", "raise after", "snooze"]
    jobs = {end: await write.enqueue(end) for end in ends}
    async with working(app):
        for job in jobs.values():
            await until(lambda job=job: over(job))  # type: ignore[misc]
    notes = {row["note"] for row in await connection.fetch("SELECT note FROM effect")}
    assert notes == {"return"}
    assert jobs["return"].state is State.COMPLETED
    await connection.close()


async def test_a_stale_attempt_writes_nothing(app: Headrace, migrated_url: str) -> None:
    connection = await asyncpg.connect(migrated_url)
    await connection.execute("CREATE TABLE effect (job uuid, attempt int)")
    go = asyncio.Event()

    @app.task(queue="stale")
    async def write(ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("INSERT INTO effect VALUES ($1, $2)", ctx.job_id, ctx.attempt)
        if ctx.attempt == 1:
            await go.wait()

    job = await write.enqueue()
    async with working(app):
        await until(lambda: is_running(job))
        # What the reaper does to a worker that was silent for a lease.
        await connection.execute(
            """UPDATE headrace.job SET gen = gen + 1, xid = pg_current_xact_id(), owner = NULL,
                      crashes = 1 WHERE id = $1""",
            job.id,
        )
        await until(lambda: over(job))
        go.set()
    assert await connection.fetchval("SELECT array_agg(attempt) FROM effect") == [2]
    await connection.close()


async def test_a_reaped_worker_goes_on_under_a_new_identity(
    app: Headrace, migrated_url: str
) -> None:
    @app.task(queue="reborn")
    async def ping() -> str:
        return "pong"

    connection = await asyncpg.connect(migrated_url)
    async with working(app) as worker:
        first = worker.id
        await connection.execute("UPDATE headrace.worker SET reaped_at = now()")
        await until(lambda: worker.id != first)
        job = await ping.enqueue()
        assert await job.result(timeout="10s") == "pong"
    await connection.close()


async def test_as_many_handlers_wait_at_once_as_there_are_slots(app: Headrace) -> None:
    together = asyncio.Barrier(4)

    @app.task()
    async def meet() -> None:
        await together.wait()

    jobs = await app.enqueue_many([meet.job() for _ in range(8)])
    async with working(app, concurrency=4):
        for job in jobs:
            await job.result(timeout="10s")
