"""A worker whose `run` is cancelled ends in good order and in bounded time."""

import asyncio
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from chaos.dialects import PostgresDialect
from chaos.proxy import Proxy
from headrace import Headrace, State
from headrace.engines.ledgered import LedgeredEngine
from headrace.worker import worker as worker_module
from headrace.worker.worker import Worker
from integration.served import MODES, served, until
from steady_pace import SteadyPace

QUEUE = "cancelled"
LEASE = (
    5.0  # the lane calls a silence of a third of it a step of its clock, and the relay may rest 1 s
)


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, LEASE) as app:
        app.queue(QUEUE)
        yield app


@contextmanager
def leaving_nothing() -> Iterator[None]:
    """No task goes on, and no heartbeat."""
    tasks, beating = our_tasks(), heartbeats()
    yield
    assert our_tasks() <= tasks
    assert heartbeats() <= beating


def heartbeats() -> set[threading.Thread]:
    """The heartbeats of this process, those that another test may have left behind included."""
    return {thread for thread in threading.enumerate() if thread.name == "headrace-heartbeat"}


def our_tasks() -> set["asyncio.Task[object]"]:
    """But for what a pool of connections does when it likes."""
    return {task for task in asyncio.all_tasks() if "Pool" not in repr(task.get_coro())}


async def cancelled(running: "asyncio.Task[None]") -> float:
    """Cancel it; returns how many seconds it takes to end."""
    began = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return time.monotonic() - began


async def test_what_runs_gets_its_grace_and_what_has_not_started_is_released(app: Headrace) -> None:
    go = asyncio.Event()

    @app.task(queue=QUEUE)
    async def hold() -> str:
        await go.wait()
        return "held"

    first, second = await hold.enqueue(), await hold.enqueue()
    with leaving_nothing():
        worker = Worker(app, {QUEUE: 1}, pace=lambda: SteadyPace(1))
        running = asyncio.create_task(worker.run())
        await until(lambda: all_started(worker, first.id) and worker._hand.unstarted())
        running.cancel()
        await until(lambda: is_in(app, second.id, State.AVAILABLE))
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await first.result(timeout="5s") == "held"
    (job,) = await app.engine.get([second.id])
    assert (job.crashes, job.failures) == (0, 0)


async def test_who_does_not_end_within_the_grace_is_interrupted(app: Headrace) -> None:
    @app.task(queue=QUEUE, max_attempts=1)
    async def hold() -> None:
        await asyncio.Event().wait()

    job = await hold.enqueue()
    with leaving_nothing():
        worker = Worker(app, {QUEUE: 1}, grace=0.1)
        running = asyncio.create_task(worker.run())
        await until(lambda: all_started(worker, job.id))
        assert await cancelled(running) < worker_module._CLOSING
    (found,) = await app.engine.get([job.id])
    assert (found.state, found.failures) == (State.DEAD, 1)
    assert (found.error or {})["type"] == "Interrupted"


async def test_a_thread_that_does_not_end_is_left_behind_and_its_job_counts_as_cut_short(
    app: Headrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_CLOSING", 1.0)
    go = threading.Event()

    @app.task(queue=QUEUE, max_attempts=2)
    def hold() -> str:
        go.wait(30)
        return "too late"

    job = await hold.enqueue()
    with leaving_nothing():
        worker = Worker(app, {QUEUE: 1}, grace=0.1)
        running = asyncio.create_task(worker.run())
        await until(lambda: all_started(worker, job.id))
        assert await cancelled(running) < 5
    await until(lambda: is_cut_short(app, job.id))
    go.set()


async def test_a_second_cancellation_ends_the_patience(app: Headrace) -> None:
    @app.task(queue=QUEUE)
    async def hold() -> None:
        await asyncio.Event().wait()

    job = await hold.enqueue()
    worker = Worker(app, {QUEUE: 1}, grace=60)
    with leaving_nothing():
        running = asyncio.create_task(worker.run())
        await until(lambda: all_started(worker, job.id))
        running.cancel()
        await until(lambda: worker._stopping is not None)
        await cancelled(running)
        assert worker._stopping is not None
        await asyncio.wait([worker._stopping])
    await until(lambda: is_cut_short(app, job.id))


@pytest.mark.parametrize("moment", range(6))
async def test_a_cancellation_at_any_moment_of_the_start(app: Headrace, moment: int) -> None:
    with leaving_nothing():
        running = asyncio.create_task(Worker(app, {QUEUE: 2}).run(burst=moment % 2 == 0))
        await asyncio.sleep([0, 0, 0.001, 0.002, 0.01, 0.02][moment])  # any moment of a start
        running.cancel()
        await asyncio.wait([running])


async def test_a_ledger_that_is_away_keeps_nobody_from_ending(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_CLOSING", 1.0)
    with Proxy.before(migrated_url, PostgresDialect) as proxy:
        app = Headrace("tests", database_url=proxy.url)
        gone = asyncio.Event()

        @app.task(queue=QUEUE)
        async def end() -> None:
            proxy.refuse()
            proxy.cut()
            gone.set()

        async with app:
            await end.enqueue()
            with leaving_nothing():
                running = asyncio.create_task(Worker(app, {QUEUE: 1}, grace=0.1).run())
                await gone.wait()
                assert await cancelled(running) < 10


async def test_what_was_given_with_a_lost_reply_comes_back_without_blame(
    migrated_url: str, sql: asyncpg.Connection
) -> None:
    with Proxy.before(migrated_url, PostgresDialect) as proxy:
        app = Headrace("tests", database_url=proxy.url)

        @app.task(queue=QUEUE, max_attempts=1)
        async def note() -> None:
            """The reply that gives it never comes."""

        async with app:
            await app.declare()
            job = await note.enqueue()
            trap = proxy.drop_next_reply(b"-- claim:")
            worker = Worker(app, {QUEUE: 1})
            await worker.start()
            await until(lambda: trap.sprung)
            await worker.stop()
            owner = "SELECT owner IS NOT NULL FROM headrace.job WHERE id = $1"
            assert await sql.fetchval(owner, job.id)
            assert isinstance(app.engine, LedgeredEngine)
            assert await app.engine.ledger.reap(10) == 1
            (found,) = await app.engine.get([job.id])
            assert (found.state, found.crashes) == (State.AVAILABLE, 0)


@pytest.mark.parametrize("wait", ["forever()", "once()"])
async def test_a_loop_that_closes_before_its_worker_was_stopped_ends_all_the_same(
    migrated_url: str, tmp_path: Path, wait: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(CARELESS.format(url=migrated_url, wait=wait))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(), 20)
    assert (said.splitlines()[-1], process.returncode) == (b"closed", 0)


CARELESS = """
import asyncio
from headrace import Headrace
from headrace.worker.worker import Worker

app = Headrace("program", database_url="{url}")
running = asyncio.Event()

@app.task()
async def hold() -> None:
    running.set()
    await {wait}

async def forever() -> None:
    await asyncio.Event().wait()

async def once() -> None:
    try:
        await forever()
    except asyncio.CancelledError:
        print("deaf", flush=True)

async def main() -> None:
    await app.start()
    await hold.enqueue()
    await Worker(app, {{"default": 1}}).start()
    await running.wait()

asyncio.run(main())
print("closed", flush=True)
"""


async def test_ctrl_c_ends_a_program_that_runs_a_worker(migrated_url: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(url=migrated_url))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"working\n"
    process.send_signal(signal.SIGINT)
    said, _ = await asyncio.wait_for(process.communicate(), 20)
    assert said == b"stopped\n"
    assert process.returncode == -signal.SIGINT


PROGRAM = """
import asyncio
from headrace import Headrace
from headrace.worker.worker import Worker

app = Headrace("program", database_url="{url}")

@app.task()
async def tell() -> None:
    print("working", flush=True)

async def main() -> None:
    async with app:
        await tell.enqueue()
        try:
            await Worker(app, {{"default": 1}}).run()
        finally:
            print("stopped", flush=True)

asyncio.run(main())
"""


def all_started(worker: Worker, *ids: UUID) -> bool:
    """Not only leased: what is taken and not booked yet comes back without blame."""
    attempts = [
        one for executor in worker._executors.values() for one in executor.attempts.values()
    ]
    return {one.delivery.id for one in attempts} >= {*ids}


async def is_cut_short(app: Headrace, job_id: UUID) -> bool:
    (job,) = await app.engine.get([job_id])
    assert job.failures == 0
    return job.crashes == 1


async def is_in(app: Headrace, job_id: UUID, state: State) -> bool:
    (job,) = await app.engine.get([job_id])
    return job.state is state
