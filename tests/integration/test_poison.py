"""A job that kills its worker is found out, and costs its neighbours no attempt."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import pytest

from headrace import Headrace, JobDead
from integration.served import MODES, until

TESTS = Path(__file__).parents[1]
SECONDS = "40s"


@asynccontextmanager
async def one_worker(environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    command = (sys.executable, "-m", "headrace", "worker", "integration.apart:app")
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
    environment = {"HEADRACE_DATABASE_URL": migrated_url, "HEADRACE_LEASE": "1s"}
    if mode == "hybrid":
        environment["HEADRACE_REDIS_URL"] = lane_url
    producer = Headrace("apart", database_url=migrated_url)
    producer.queue("default")
    async with producer:
        async with one_worker(environment) as first:
            (innocent,) = await producer.enqueue_many([apart.innocent.job(begun)])
            await until(Path(begun).exists, 20.0)
            (poison,) = await producer.enqueue_many([apart.kills_its_process.job(begun)])
            await first.wait()
        assert first.returncode == -9
        async with one_worker(environment) as second:
            attempt, pid = await innocent.result(SECONDS)
            assert (attempt, pid != second.pid) == (2, True), "alone"
            with pytest.raises(JobDead, match=r"Poison: the process of the handler was killed by"):
                await poison.result(SECONDS)
            assert second.returncode is None, "nothing of it reaches the worker"
        job = await innocent.refresh()
        assert (job.failures, job.crashes) == (0, 1)
        job = await poison.refresh()
        assert (job.failures, job.crashes) == (3, 1)
