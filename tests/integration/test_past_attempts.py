"""The history of attempts: each failed one with its error, when, how long and by whom."""

import asyncio
import os
import socket

import pytest

from headrace import Context, Dead, Headrace, JobDead, Retry, Snooze
from headrace.worker.worker import Worker


async def test_each_failed_attempt_is_kept(app: Headrace, caplog: pytest.LogCaptureFixture) -> None:
    @app.task(max_attempts=3)
    async def fails(ctx: Context) -> None:
        if ctx.attempt == 1:
            await asyncio.sleep(0.02)
            raise Retry("password=hunter2", after="0s")
        if ctx.attempt == 2:
            token = "the value"
            raise Retry(f"token: {token}", after="0s")
        ctx.log("the secret=s3 is out")
        raise ConnectionError("postgresql://ann:pw@db refuses")

    job = await fails.enqueue()
    worker = Worker(app, {"default": 1})
    await worker.start()
    with pytest.raises(JobDead, match=r"postgresql://ann:\*\*\*@db refuses"):
        await job.result("20s")
    first, second, last = await job.attempts()
    assert [first.attempt, second.attempt, last.attempt] == [1, 2, 3]
    assert [first.ended, second.ended, last.ended] == ["retry", "retry", "dead"]
    assert (first.type, first.message) == ("Retry", "password=***")
    assert second.message == "token: *** value"
    assert first.ran is not None
    assert first.ran >= 0.02
    assert first.at <= second.at <= last.at
    assert first.worker == worker.id
    assert first.host == f"{socket.gethostname()}:{os.getpid()}"
    assert 'raise ConnectionError("postgresql://ann:***@db refuses")' in last.stack
    assert (await job.refresh()).told.log[0].text == "the secret=*** is out"
    assert "hunter2" not in caplog.text
    await app.engine.inspector.replay([job.id], "test")
    with pytest.raises(JobDead):
        await job.result("20s")
    assert [one.attempt for one in await job.attempts()] == [1, 2, 3, 1, 2, 3]
    await worker.stop()


async def test_what_is_no_failure_is_no_failed_attempt(app: Headrace) -> None:
    woken: list[bool] = []

    @app.task()
    async def snoozes() -> object:
        woken.append(True)
        if len(woken) < 3:
            raise Snooze("0s")
        raise Dead("enough")

    job = await snoozes.enqueue()
    await Worker(app, {"default": 1}).run(burst=True)
    (only,) = await job.attempts()
    assert (only.attempt, only.ended, only.type) == (1, "dead", "Dead")
