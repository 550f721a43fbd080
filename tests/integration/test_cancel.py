"""A job that a worker has is ended by it when somebody asks, wherever it runs (`cancel`)."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest

from headrace import Cancel, Context, Headrace, JobCancelled, JobNotFound, State
from headrace.engines.ledgered import LedgeredEngine
from headrace.model.cancellation import Cancellation
from headrace.model.inspection import Answer
from headrace.model.job import Delivery
from headrace.model.state import Stored
from headrace.relay.canceller import Canceller
from headrace.service import running
from headrace.worker.worker import Worker
from integration.served import MODES, served, until
from jobsmith import Jobsmith
from steady_pace import SteadyPace

ACTOR = "cli:tester"
LEASE = 3.0  # a beat a second
SECONDS = "20s"


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=LEASE) as app:
        yield app


@asynccontextmanager
async def working(app: Headrace) -> AsyncIterator[None]:
    """A worker of one slot."""
    worker = Worker(app, {"default": 1})
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        yield
        worker.finish()


async def test_a_coroutine_is_cancelled_and_the_job_says_by_whom(app: Headrace) -> None:
    begun, heard = asyncio.Event(), asyncio.Event()

    @app.task()
    async def sleep(ctx: Context) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert ctx.cancellation is not None
            assert (ctx.cancellation.actor, ctx.cancellation.reason) == (ACTOR, "wrong customer")
            heard.set()
            raise

    @app.task()
    async def other() -> int:
        return 1

    job, after = await sleep.enqueue(), await other.enqueue()
    async with working(app):
        await begun.wait()
        for _ in range(2):  # to ask twice is the same as once
            answers = await app.engine.inspector.cancel([job.id], ACTOR, "wrong customer")
            assert answers == {job.id: Answer.ASKED}
        with pytest.raises(JobCancelled, match=r"was cancelled \(Cancelled: by cli:tester: wrong"):
            await job.result(SECONDS)
        assert heard.is_set()
        assert await after.result(SECONDS) == 1, "its slot goes on"
    assert not await job.cancel(), "it is over"


async def test_a_thread_finds_it_in_its_context(app: Headrace) -> None:
    begun = threading.Event()

    @app.task()
    def count(ctx: Context) -> None:
        begun.set()
        while ctx.cancellation is None:
            threading.Event().wait(0.01)  # as long as one step of its work
        raise Cancel(f"as {ctx.cancellation.actor} says")

    job = await count.enqueue()
    async with working(app):
        await asyncio.to_thread(begun.wait)
        assert await job.cancel("too long")
        with pytest.raises(JobCancelled, match="as app:tests says"):
            await job.result(SECONDS)


async def test_what_completes_all_the_same_is_completed(app: Headrace) -> None:
    begun = asyncio.Event()

    @app.task()
    async def finish() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "sent already"
        return "never"

    job = await finish.enqueue()
    async with working(app):
        await begun.wait()
        assert await job.cancel()
        assert await job.result(SECONDS) == "sent already"


@pytest.mark.parametrize("how", ["fails", "retries"])
async def test_what_would_run_again_does_not(app: Headrace, how: str) -> None:
    begun, runs = asyncio.Event(), []

    @app.task()
    async def fail() -> None:
        runs.append(how)
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            if how == "fails":
                raise ValueError("cut short")

    job = await fail.enqueue()
    async with working(app):
        await begun.wait()
        assert await job.cancel()
        with pytest.raises(JobCancelled, match="by app:tests"):
            await job.result(SECONDS)
    assert len(runs) == 1


async def test_what_waits_for_a_slot_does_not_begin(app: Headrace) -> None:
    ran: list[int] = []
    first, go = asyncio.Event(), asyncio.Event()

    @app.task()
    async def hold(n: int) -> None:
        ran.append(n)
        first.set()
        await go.wait()

    jobs = [await hold.enqueue(n) for n in range(3)]
    ids = [job.id for job in jobs]
    worker = Worker(app, {"default": 1}, pace=lambda: SteadyPace(10))
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        await first.wait()
        await until(lambda: _all_taken(app, ids))
        answers = await app.engine.inspector.cancel(ids[1:], ACTOR)
        for job in jobs[1:]:
            with pytest.raises(JobCancelled):
                await job.result(SECONDS)
        go.set()
        await jobs[0].result(SECONDS)
        worker.finish()
    assert (set(answers.values()), ran) == ({Answer.ASKED}, [0])


async def _all_taken(app: Headrace, ids: list[UUID]) -> bool:
    return all(job.state is State.RUNNING for job in await app.engine.get(ids))


async def test_a_transaction_of_the_handler_is_undone(app: Headrace, migrated_url: str) -> None:
    begun = asyncio.Event()

    @app.task()
    async def write(ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("CREATE TABLE made_by_cancelled (n int)")
            begun.set()
            await asyncio.Event().wait()

    job = await write.enqueue()
    async with working(app):
        await begun.wait()
        assert await job.cancel()
        with pytest.raises(JobCancelled, match="by app:tests"):
            await job.result(SECONDS)
    connection = await asyncpg.connect(migrated_url)
    assert await connection.fetchval("SELECT to_regclass('made_by_cancelled')") is None
    await connection.close()


async def test_a_job_that_is_not_there(app: Headrace) -> None:
    @app.task()
    async def work() -> None: ...

    job = await work.enqueue()
    job.id = app.engine.new_id()
    with pytest.raises(JobNotFound):
        await job.cancel()


def test_without_an_event_loop(migrated_url: str) -> None:
    app = Headrace("tests", database_url=migrated_url)

    @app.task()
    async def work() -> None: ...

    job = work.options(delay="1h").enqueue_sync()
    assert job.cancel_sync("not now")
    assert job.refresh_sync().error == {"type": "Cancelled", "message": "by app:tests: not now"}
    app.stop_sync()


async def asked(smith: Jobsmith) -> tuple[LedgeredEngine, Delivery]:
    """An engine, and a job that was asked to end and whose worker has not heard of it."""
    engine = LedgeredEngine(smith.ledger)
    await smith.insert()
    (held,) = await smith.claim()
    assert await engine.inspector.cancel([held.id], ACTOR) == {held.id: Answer.ASKED}
    assert await engine.inspector.cancellations(10) == [Cancellation(held.id, ACTOR)]
    return engine, held


async def test_one_that_failed_before_its_worker_heard_of_it(smith: Jobsmith) -> None:
    engine, held = await asked(smith)
    await smith.settle([held], Stored.LIVE, failed=True)
    await Canceller(engine, interval=1).poll()
    (job,) = await smith.ledger.get([held.id])
    error = {"type": "Cancelled", "message": f"by {ACTOR}"}
    assert (job.state, job.error) == (State.CANCELLED, error)


async def test_one_whose_worker_died(smith: Jobsmith) -> None:
    engine, held = await asked(smith)
    (pulse,) = (await smith.ledger.watch()).values()
    assert await smith.ledger.judge(smith.worker, pulse.beats)
    assert await smith.ledger.reap(10) == 1
    async with running([Canceller(engine, interval=1).loop]):
        await until(lambda: _is(engine, held.id, State.CANCELLED))


async def test_what_is_over_is_forgotten(smith: Jobsmith) -> None:
    engine, held = await asked(smith)
    await smith.settle([held], Stored.DEAD, failed=True)
    await Canceller(engine, interval=1).poll()
    assert await engine.inspector.cancellations(10) == []


async def test_the_wish_does_not_outlive_a_replay(smith: Jobsmith) -> None:
    engine, held = await asked(smith)
    await smith.settle([held], Stored.DEAD, failed=True)
    await engine.inspector.replay([held.id], ACTOR)
    await Canceller(engine, interval=1).poll()
    assert await _is(engine, held.id, State.AVAILABLE)


async def _is(engine: LedgeredEngine, job_id: UUID, state: State) -> bool:
    (job,) = await engine.get([job_id])
    return job.state is state
