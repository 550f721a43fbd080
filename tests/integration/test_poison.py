"""A job that kills its worker is found out, and costs its neighbours no attempt."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import asyncpg
import pytest

from headrace import Headrace, JobDead
from headrace.worker.worker import Worker
from integration.served import MODES, until

TESTS = Path(__file__).parents[1]
SECONDS = "40s"
JOBS = 40
KILLS = 2


@asynccontextmanager
async def one_worker(environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    command = (sys.executable, "-m", "headrace", "worker", "integration.apart:app", "-c", "3")
    worker = await asyncio.create_subprocess_exec(*command, cwd=TESTS, env=os.environ | environment)
    try:
        yield worker
    finally:
        if worker.returncode is None:
            worker.terminate()
        await worker.wait()


@pytest.mark.parametrize("mode", MODES)
async def test_poison_is_told_from_its_neighbours(
    migrated_url: str, lane_url: str, tmp_path: Path, mode: str
) -> None:
    apart = import_module("integration.apart")
    begun = str(tmp_path / "begun")
    environment = {"HEADRACE_DATABASE_URL": migrated_url, "HEADRACE_LEASE": "2s"}
    if mode == "hybrid":
        environment["HEADRACE_REDIS_URL"] = lane_url
    producer = Headrace("apart", database_url=migrated_url)
    producer.queue("default")
    async with producer:
        innocent, poison = await producer.enqueue_many(
            [apart.innocent.job(begun), apart.kills_its_process.job(begun)]
        )
        for _ in range(2):
            Path(begun).unlink(missing_ok=True)
            async with one_worker(environment) as worker:
                await worker.wait()
            assert worker.returncode == -9
        async with one_worker(environment) as third:
            attempt, pid = await innocent.result(SECONDS)
            assert (attempt, pid != third.pid) == (3, True), "alone"
            with pytest.raises(JobDead, match=r"Poison: the process of the handler was killed by"):
                await poison.result(SECONDS)
            assert third.returncode is None, "nothing of it reaches the worker"
        job = await innocent.refresh()
        assert (job.failures, job.crashes) == (0, 2)
        job = await poison.refresh()
        assert (job.failures, job.crashes) == (3, 2)


async def test_what_ran_when_one_worker_died_runs_again_at_once(
    migrated_url: str, tmp_path: Path, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As suspects they would run one after the other: fifty of them for fifty times as long."""
    monkeypatch.setenv("HEADRACE_DATABASE_URL", migrated_url)
    sys.modules.pop("integration.apart", None)
    apart = import_module("integration.apart")
    async with apart.app as app:
        jobs = [await apart.meets.enqueue(str(tmp_path), 3) for _ in range(3)]
        await sql.execute("UPDATE headrace.job SET crashes = 1")
        await Worker(app, {"default": 3}).run(burst=True)
        assert {await job.result(SECONDS) for job in jobs} == {os.getpid()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("task", ["effect_in_worker", "effect_in_process"])
async def test_effects_are_made_once_though_workers_are_killed(
    migrated_url: str, lane_url: str, mode: str, task: str, sql: asyncpg.Connection
) -> None:
    apart = import_module("integration.apart")
    await sql.execute("CREATE TABLE effect (n int, pid int)")
    environment = {"HEADRACE_DATABASE_URL": migrated_url, "HEADRACE_LEASE": "1s"}
    if mode == "hybrid":
        environment["HEADRACE_REDIS_URL"] = lane_url
    producer = Headrace("apart", database_url=migrated_url)
    producer.queue("default")

    async def made() -> int:
        count: int = await sql.fetchval("SELECT count(*) FROM effect")
        return count

    async def kill_a_worker() -> None:
        before = await made()

        async def works() -> bool:
            return await made() > before

        async with one_worker(environment) as worker:
            await until(works, 20.0)
            worker.kill()

    async with producer:
        jobs = await producer.enqueue_many([getattr(apart, task).job(n) for n in range(JOBS)])
        for _ in range(KILLS):
            await kill_a_worker()
        async with one_worker(environment):
            for job in jobs:
                await job.result(SECONDS)
    rows = await sql.fetch("SELECT n, count(*) FROM effect GROUP BY n ORDER BY n")
    assert [tuple(row) for row in rows] == [(n, 1) for n in range(JOBS)]


async def test_no_two_suspects_run_at_once(
    migrated_url: str, tmp_path: Path, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one that takes its machine's memory would cost the other its life, too."""
    monkeypatch.setenv("HEADRACE_DATABASE_URL", migrated_url)
    sys.modules.pop("integration.apart", None)
    apart = import_module("integration.apart")
    async with apart.app as app:
        jobs = [await apart.wants_to_be_alone.enqueue(str(tmp_path / "mark")) for _ in range(3)]
        await sql.execute("UPDATE headrace.job SET crashes = 2")
        await Worker(app, {"default": 3}).run(burst=True)
        for job in jobs:
            await job.result(SECONDS)
            assert job.job.failures == 0
