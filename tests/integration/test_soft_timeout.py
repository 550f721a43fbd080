"""A run is told that its timeout comes near, wherever it runs."""

import asyncio
import logging
import threading
from datetime import timedelta
from typing import Any

import pytest

from headrace import Context, Headrace, UsageError
from headrace.testing.kit.memory import in_memory
from integration.served import until, working


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    told = [one for one in caplog.records if one.levelno == logging.WARNING]
    return [one.message for one in told if "soft timeout" in one.message]


async def test_a_coroutine_ends_by_itself_before_its_timeout(
    app: Headrace, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task(timeout="60s", soft_timeout="50ms", max_attempts=1)
    async def work(ctx: Context) -> str:
        near = asyncio.Event()
        ctx.on_soft_timeout(near.set)
        await near.wait()
        assert 0 < ctx.seconds_left < 60
        await until(lambda: warnings(caplog))
        return "saved"

    job = await work.enqueue()
    async with working(app):
        assert await job.result(timeout="10s") == "saved"
    (told,) = warnings(caplog)
    assert "passed its soft timeout of 0:00:00.050000; it has 5" in told


async def test_a_thread_hears_of_it(app: Headrace) -> None:
    @app.task(timeout="60s", soft_timeout="0.1%")
    def work(ctx: Context) -> bool:
        near = threading.Event()
        ctx.on_soft_timeout(near.set)
        return near.wait(30.0)

    job = await work.enqueue()
    async with working(app):
        assert await job.result(timeout="10s") is True


async def test_who_got_more_time_is_told_later(app: Headrace) -> None:
    @app.task(timeout="1h", soft_timeout="50ms")
    async def work(ctx: Context) -> list[float]:
        told: list[float] = []
        near = asyncio.Event()

        def note() -> None:
            told.append(ctx.seconds_left)
            near.set()

        ctx.on_soft_timeout(note)
        # 59 minutes, 59 seconds and 950 ms before the new end, so at once and no earlier.
        await ctx.extend(timedelta(hours=1, milliseconds=200))
        await near.wait()
        return told

    job = await work.enqueue()
    async with working(app):
        (left,) = await job.result(timeout="10s")
    assert left <= 3600 - 0.05


async def test_what_it_wants_then_may_fail(app: Headrace) -> None:
    called = asyncio.Event()

    def broken() -> None:
        called.set()
        raise ValueError("boom")

    @app.task(timeout="60s", soft_timeout="10ms")
    async def work(ctx: Context) -> str:
        ctx.on_soft_timeout(broken)
        await called.wait()
        return "done"

    job = await work.enqueue()
    async with working(app):
        assert await job.result(timeout="10s") == "done"


async def test_who_ends_earlier_is_not_called(app: Headrace) -> None:
    called: list[int] = []

    @app.task(timeout="60s", soft_timeout="100ms")
    async def work(ctx: Context) -> None:
        ctx.on_soft_timeout(lambda: called.append(1))

    @app.task(timeout="60s", soft_timeout="200ms")
    async def other(ctx: Context) -> None:
        near = asyncio.Event()
        ctx.on_soft_timeout(near.set)
        await near.wait()

    await work.enqueue()
    second = await other.enqueue()
    async with working(app):
        await second.result(timeout="10s")
        await until(lambda: True)
    assert called == []


async def test_a_task_without_one_is_refused() -> None:
    app = Headrace("shop")

    @app.task(max_attempts=1)
    async def work(ctx: Context) -> None:
        ctx.on_soft_timeout(print)

    with in_memory(app, inline=False) as jobs:
        done = await jobs.process_job(work.job())
    assert done.error is not None
    assert 'task "work" has no soft timeout; write @app.task(soft_timeout="80%")' in str(done.error)


@pytest.mark.parametrize("soft", ["60s", "2m", "0%", "100%", "-1%", 5])
def test_it_lies_within_the_timeout(soft: object) -> None:
    options: dict[str, Any] = {"timeout": "60s", "soft_timeout": soft}
    with pytest.raises(UsageError, match="soft_timeout"):

        @Headrace("shop").task(**options)  # type: ignore[untyped-decorator] # options may be wrong
        def work() -> None: ...
