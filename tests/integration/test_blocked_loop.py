"""A handler that blocks its event loop past its timeout loses its job, and no other job does."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from headrace import Headrace, State
from headrace.worker.end_process import EX_SOFTWARE
from headrace.worker.worker import Worker
from integration.blocking_worker import QUEUE
from integration.served import MODES, served, until

LEASE = 5.0
HERE = Path(__file__).parent


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, LEASE) as app:
        yield app


@asynccontextmanager
async def blocking_worker(
    app: Headrace, folder: Path, *, status: int = 0
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process; it ends in good order, or with a status of its own."""
    settings = {
        "HEADRACE_DATABASE_URL": str(app.settings.database_url),
        "HEADRACE_LEASE": f"{LEASE}s",
        "PYTHONPATH": str(HERE.parent),
    }
    if app.settings.redis_url is not None:
        settings["HEADRACE_REDIS_URL"] = str(app.settings.redis_url)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "integration.blocking_worker", str(folder)),
        env={**os.environ, **settings},
    )
    try:
        yield process
        if status == 0:
            process.terminate()
        assert await process.wait() == status
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def another_worker(app: Headrace) -> AsyncIterator[None]:
    """A worker of this process, which leaves nothing behind however the test ends."""
    worker = Worker(app, {QUEUE: 1})
    await worker.start()
    try:
        yield
    finally:
        await worker.stop()


async def test_what_blocks_a_loop_past_its_timeout_runs_elsewhere_meanwhile(
    app: Headrace, tmp_path: Path
) -> None:
    @app.task(queue=QUEUE)
    async def block() -> str:
        return "second"

    @app.task(queue=QUEUE)
    async def hold() -> str:
        return "held by the wrong worker"

    async with blocking_worker(app, tmp_path):
        held = await hold.enqueue()
        await until((tmp_path / "holding").exists)
        blocked = await block.enqueue()
        await until((tmp_path / "blocking").exists)
        async with another_worker(app):
            assert await blocked.result(timeout="20s") == "second"
            assert not (tmp_path / "unblocked").exists()
            (tmp_path / "gate").touch()
            assert await held.result(timeout="20s") == "held"
    jobs = {job.id: job for job in await app.engine.get([held.id, blocked.id])}
    assert (jobs[held.id].crashes, jobs[held.id].failures) == (0, 0)
    assert (jobs[blocked.id].crashes, jobs[blocked.id].failures) == (1, 0)
    assert bytes(jobs[blocked.id].result or b"") == b'"second"'


@pytest.mark.parametrize("where", ["in hand", "under way"])
async def test_what_waits_behind_a_blocked_loop_runs_elsewhere(
    app: Headrace, tmp_path: Path, where: str
) -> None:
    @app.task(queue=QUEUE)
    async def hold() -> str:
        return "held by the wrong worker"

    @app.task(queue=QUEUE)
    async def block_later() -> str:
        return "blocked by the wrong worker"

    @app.task(queue=QUEUE, max_attempts=1)
    async def quick() -> str:
        return "elsewhere"

    if where == "under way":
        (tmp_path / "slow answers").touch()
    async with blocking_worker(app, tmp_path):
        held = await hold.enqueue()
        await until((tmp_path / "holding").exists)
        blocked, *waiting = await app.enqueue_many(
            [block_later.job(), *(quick.job() for _ in range(5))]
        )
        for job in waiting if where == "in hand" else waiting[:3]:
            await until(lambda job=job: is_running(app, job.id))  # type: ignore[misc]
        (tmp_path / "go").touch()
        await until((tmp_path / "blocking").exists)
        async with another_worker(app):
            for job in waiting:
                assert await job.result(timeout="20s") == "elsewhere"
            assert not (tmp_path / "unblocked").exists()
            (tmp_path / "gate").touch()
            assert await blocked.result(timeout="20s") == "blocked"
            assert await held.result(timeout="20s") == "held"


async def test_what_ended_just_before_a_loop_was_blocked_for_good_is_written(
    app: Headrace, tmp_path: Path
) -> None:
    @app.task(queue=QUEUE, max_attempts=1)
    async def quick() -> str:
        return "elsewhere"

    @app.task(queue=QUEUE, max_attempts=1)
    async def block_for_good() -> str:
        return "elsewhere"

    async with blocking_worker(app, tmp_path, status=EX_SOFTWARE):
        # No handler waits for anything, so a slot runs both in one turn of its loop.
        ended, blocked = await app.enqueue_many([quick.job(), block_for_good.job()])
    jobs = {job.id: job for job in await app.engine.get([ended.id, blocked.id])}
    assert jobs[blocked.id].state is State.DEAD
    assert (jobs[ended.id].state, jobs[ended.id].crashes) == (State.COMPLETED, 0)
    assert bytes(jobs[ended.id].result or b"") == b'"by the worker that was blocked"'


async def test_what_is_written_for_a_blocked_loop_counts_once(
    app: Headrace, tmp_path: Path
) -> None:
    @app.task(queue=QUEUE)
    async def put_off() -> str:
        return "elsewhere"

    @app.task(queue=QUEUE)
    async def block() -> str:
        return "elsewhere"

    async with blocking_worker(app, tmp_path):
        failed, blocked = await app.enqueue_many([put_off.job(), block.job()])
        await until(lambda: has_failed(app, failed.id))
        assert not (tmp_path / "unblocked").exists()
        (tmp_path / "gate").touch()
        assert await blocked.result(timeout="20s") == "first"
    (job,) = await app.engine.get([failed.id])
    assert (job.state, job.failures) == (State.RETRYABLE, 1)


async def has_failed(app: Headrace, job_id: UUID) -> bool:
    (job,) = await app.engine.get([job_id])
    return job.failures > 0


async def is_running(app: Headrace, job_id: UUID) -> bool:
    (job,) = await app.engine.get([job_id])
    return job.state is State.RUNNING
