"""Handlers in processes of their own: `executor="process"`."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from uuid import uuid4

import asyncpg
import pytest

from headrace import Headrace, JobCancelled, JobDead, State, UsageError
from headrace.model.cancellation import Cancellation
from headrace.model.job import Delivery
from headrace.relay.services import services
from headrace.service import running
from headrace.worker.conclude import Conclusion
from headrace.worker.process.children import ChildProcess
from headrace.worker.process.wire import Began, Done, Order, Prolonged, Wish, send
from headrace.worker.worker import Worker
from integration.served import MODES, until

SECONDS = "20s"


@pytest.fixture(params=MODES)
async def apart(
    request: pytest.FixtureRequest,
    migrated_url: str,
    lane_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[ModuleType]:
    """The module of the tasks, whose application runs on the test's own database."""
    monkeypatch.setenv("HEADRACE_DATABASE_URL", migrated_url)
    monkeypatch.setenv("HEADRACE_LEASE", "3s")
    if request.param == "hybrid":
        monkeypatch.setenv("HEADRACE_REDIS_URL", lane_url)
    sys.modules.pop("integration.apart", None)
    module = import_module("integration.apart")
    async with module.app, running(services(module.app.engine, lease=3.0)):
        yield module


@asynccontextmanager
async def working(app: Headrace, slots: int = 1, grace: float = 30.0) -> AsyncIterator[Worker]:
    worker = Worker(app, {"default": slots}, grace=grace)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        yield worker
        worker.finish()


async def test_jobs_run_in_a_process_that_stays(apart: ModuleType) -> None:
    async with working(apart.app):
        first = await (await apart.pid.enqueue()).result(SECONDS)
        job = await apart.whereabouts.enqueue("über")
        assert await job.result(SECONDS) == [first, [first], "über", 1, str(job.id)]
        assert first != os.getpid()
        assert (await job.refresh()).told.progress.fraction == 0.5
        os.kill(first, 0)  # it is there
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


@pytest.mark.parametrize(("queue", "warm"), [("default", 1), ("other", 0)])
async def test_processes_are_warm_where_their_tasks_are_served(
    apart: ModuleType, queue: str, warm: int
) -> None:
    apart.app.queue("other")
    worker = Worker(apart.app, {queue: 1})
    await worker.start()
    assert len(worker._children._starting) == warm
    await worker.stop()


async def test_slots_have_a_process_each(apart: ModuleType, tmp_path: Path) -> None:
    begun = [tmp_path / "one", tmp_path / "other"]
    async with working(apart.app, slots=2):
        jobs = [await apart.heeds.enqueue(str(path)) for path in begun]
        await until(lambda: all(path.exists() for path in begun))
        for job in jobs:
            assert await job.cancel("enough")
        assert [await job.result(SECONDS) for job in jobs] == ["enough", "enough"]


@pytest.mark.parametrize(
    ("how", "told"), [("exits", "ended with status 3"), ("is killed", "was killed by SIGKILL")]
)
async def test_a_crash_fails_its_own_job_alone(
    apart: ModuleType, how: str, told: str, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    async with working(apart.app, slots=2):
        neighbour = await apart.waits.enqueue(str(begun))
        await until(begun.exists)
        crashing = await apart.crash.enqueue(how)
        with pytest.raises(JobDead, match=f"Poison: the process of the handler {told}, alone"):
            await crashing.result(SECONDS)
        assert (await neighbour.refresh()).state is State.RUNNING
        assert await neighbour.cancel()
        assert await neighbour.result(SECONDS) == "cleaned up"
        after = await (await apart.whereabouts.enqueue("after")).result(SECONDS)
        assert after[2] == "after"


async def test_a_process_ends_with_a_worker_that_is_killed(
    migrated_url: str, tmp_path: Path
) -> None:
    """The handler goes on nowhere while another worker runs the job again."""
    begun = tmp_path / "begun"
    producer = Headrace("apart", database_url=migrated_url)
    producer.queue("default")
    async with producer:
        tests = Path(__file__).parents[1]
        command = (sys.executable, "-m", "headrace", "worker", "integration.apart:app")
        worker = await asyncio.create_subprocess_exec(
            *command, cwd=tests, env=os.environ | {"HEADRACE_DATABASE_URL": migrated_url}
        )
        task = import_module("integration.apart").is_deaf
        await producer.enqueue_many([task.job(str(begun))])
        await until(lambda: begun.exists() and begun.read_text(), 20.0)
        handler = int(begun.read_text())
        worker.kill()
        await worker.wait()
        await until(lambda: not _lives(handler))


def _lives(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


async def test_a_process_that_died_while_it_was_idle_costs_no_attempt(apart: ModuleType) -> None:
    """The order may still go to it: whether it was read tells whose death that is."""
    async with working(apart.app):
        first = await (await apart.pid.enqueue()).result(SECONDS)
        os.kill(first, signal.SIGKILL)
        job = await apart.pid.options(max_attempts=1).enqueue()
        assert await job.result(SECONDS) != first
        assert (await job.refresh()).attempt == 1


async def test_a_wish_is_told_once_the_order_is_read() -> None:
    """What a process that dies has not read would hide that it had begun."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    _, answers = await asyncio.open_unix_connection(sock=theirs.dup())
    process = ChildProcess(cast("Any", None), reader, writer)  # asked only once it has died
    one, heard = delivery(), asyncio.Event()
    running = asyncio.create_task(process.run(Order(one, uuid4()), lambda _: heard.set()))
    await asyncio.get_running_loop().sock_recv(theirs, 1 << 16)
    process.wish(Wish(Cancellation(one.id, "cli:tester")))
    send(answers, Prolonged(1.0))
    await heard.wait()
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    send(answers, Began())
    assert b"cli:tester" in await asyncio.get_running_loop().sock_recv(theirs, 1 << 16)
    send(answers, Done(Conclusion.STALE, 0))
    assert (await running).ended is Conclusion.STALE
    for one_end in (writer, answers, theirs):
        one_end.close()


def delivery() -> Delivery:
    return Delivery(
        id=uuid4(),
        gen=2,
        queue="default",
        task="pid",
        payload=b"{}",
        priority=5,
        failures=0,
        crashes=0,
        max_attempts=1,
    )


@pytest.mark.parametrize("task", ["spin", "spin_in_loop"])
async def test_the_timeout_kills(apart: ModuleType, task: str) -> None:
    async with working(apart.app):
        job = await getattr(apart, task).enqueue()
        with pytest.raises(JobDead, match="Timeout: the attempt passed its timeout"):
            await job.result(SECONDS)
        assert isinstance(await (await apart.pid.enqueue()).result(SECONDS), int)


async def test_a_handler_can_have_more_time(apart: ModuleType) -> None:
    async with working(apart.app):
        assert await (await apart.asks_for_more.enqueue()).result(SECONDS) == "done"


async def test_an_error_is_that_of_the_handler(apart: ModuleType) -> None:
    async with working(apart.app):
        job = await apart.raises.options(max_attempts=1).enqueue()
        with pytest.raises(JobDead, match="ValueError: of the handler's own"):
            await job.result(SECONDS)
        assert "raise ValueError" in str((await job.refresh()).error)


async def test_writes_commit_with_the_completion(
    apart: ModuleType, sql: asyncpg.Connection
) -> None:
    await sql.execute("CREATE TABLE written (text text)")
    async with working(apart.app):
        good = await apart.writes.enqueue("kept", fails=False)
        bad = await apart.writes.options(max_attempts=1).enqueue("undone", fails=True)
        await good.result(SECONDS)
        with pytest.raises(JobDead, match="after its block"):
            await bad.result(SECONDS)
    assert [row["text"] for row in await sql.fetch("SELECT text FROM written")] == ["kept"]


async def test_a_handler_can_enqueue(apart: ModuleType) -> None:
    async with working(apart.app):
        followed = await (await apart.enqueues.enqueue()).result(SECONDS)
        assert isinstance(await (await apart.app.get(followed)).result(SECONDS), int)


async def test_what_is_deaf_is_killed_when_it_is_cancelled(
    apart: ModuleType, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    async with working(apart.app):
        job = await apart.is_deaf.enqueue(str(begun))
        await until(begun.exists)
        assert await job.cancel("it hangs")
        with pytest.raises(JobCancelled, match="by app:apart: it hangs"):
            await job.result(SECONDS)


async def test_worn_and_large_processes_are_replaced(
    apart: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_CHILD_JOBS", "2")
    monkeypatch.setenv("HEADRACE_CHILD_MEMORY", "200MB")
    del apart.app.settings  # read anew
    async with working(apart.app):
        pids = [await (await apart.pid.enqueue()).result(SECONDS) for _ in range(3)]
        large = await (await apart.takes_memory.enqueue(300)).result(SECONDS)
        assert await (await apart.pid.enqueue()).result(SECONDS) != large
    assert pids[0] == pids[1] != pids[2] == large


async def test_the_workers_end_kills_what_does_not_end(apart: ModuleType, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    async with working(apart.app, grace=0.5):
        job = await apart.is_deaf.enqueue(str(begun))
        await until(lambda: begun.exists() and begun.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)
    assert (await job.refresh()).error == {
        "type": "Interrupted",
        "message": "the worker stopped before the attempt ended",
    }


def test_a_task_that_another_process_cannot_find_is_refused() -> None:
    app = Headrace("tests")
    with pytest.raises(UsageError, match='task "inner" is defined inside of a function'):

        @app.task(executor="process")
        def inner() -> None: ...


def test_an_executor_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="executor='thread' is no executor"):
        Headrace("tests").task(executor="thread")(nothing)  # type: ignore[call-overload] # the very mistake


def nothing() -> None: ...
