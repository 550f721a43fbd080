"""What stands around the runs of jobs: middleware, dependencies, error hooks."""

import asyncio
import contextvars
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest

from headrace import (
    Context,
    Depends,
    Headrace,
    JobDead,
    Retry,
    Snooze,
    State,
    UsageError,
    injected,
)
from headrace.middleware import Next, SyncNext
from headrace.worker.reporter import Reporter
from headrace.worker.worker import Worker
from integration.served import until

SECONDS = "20s"
tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


@asynccontextmanager
async def working(app: Headrace) -> AsyncIterator[None]:
    worker = Worker(app, {"default": 2})
    async with app.living(), asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        yield
        worker.finish()


async def test_middleware_stands_around_runs_in_order(app: Headrace) -> None:
    seen: list[str] = []

    @app.middleware
    async def first(ctx: Context, call_next: Next) -> object:
        seen.append(f"first {ctx.attempt}")
        return await call_next()

    @app.middleware
    def in_thread(ctx: Context, call_next: SyncNext) -> object:
        seen.append(f"in thread {ctx.task} {threading.current_thread().name}")
        return call_next()

    @app.middleware
    async def second(_: Context, call_next: Next, *, times: int = 1) -> object:
        seen.append("second")
        return [await call_next() for _ in range(times)]

    @app.task(middleware={"times": 2})
    async def coroutine() -> str:
        seen.append("coroutine")
        return "done"

    @app.task()
    def function() -> str:
        seen.append(threading.current_thread().name)
        return "done"

    async with working(app):
        twice: object = await (await coroutine.enqueue()).result(SECONDS)
        assert twice == ["done", "done"]
        assert seen == ["first 1", "second", "coroutine", "coroutine"]
        seen.clear()
        once: object = await (await function.enqueue()).result(SECONDS)
        assert once == ["done"]
        thread = seen[-1]
        assert thread.startswith("headrace-default")
        assert seen == ["first 1", "second", f"in thread function {thread}", thread]


async def test_middleware_may_raise_and_return_what_a_handler_may(app: Headrace) -> None:
    @app.middleware
    async def gate(ctx: Context, call_next: Next) -> object:
        if ctx.task == "closed":
            raise PermissionError("not today")
        if ctx.task == "early" and not woken:
            woken.append(True)
            return Snooze("0s")
        try:
            return await call_next()
        except LookupError:
            return "nothing found"

    woken: list[bool] = []

    @app.task(max_attempts=1)
    async def closed() -> None: ...

    @app.task()
    async def early() -> str:
        return "awake"

    @app.task()
    def looks() -> str:
        raise KeyError("x")

    async with working(app):
        with pytest.raises(JobDead, match="not today"):
            await (await closed.enqueue()).result(SECONDS)
        assert await (await early.enqueue()).result(SECONDS) == "awake"
        assert await (await looks.enqueue()).result(SECONDS) == "nothing found"


async def test_context_variables_of_middleware_reach_handlers_and_no_other_job(
    app: Headrace,
) -> None:
    @app.middleware
    async def of_tenant(ctx: Context, call_next: Next) -> object:
        if ctx.task != "bare":
            tenant.set(ctx.task)
        return await call_next()

    @app.task()
    async def coroutine() -> str:
        return tenant.get()

    @app.task()
    def function() -> str:
        return tenant.get()

    @app.task()
    async def bare() -> str:
        return tenant.get()

    async with working(app):
        for task, said in ((coroutine, "coroutine"), (function, "function"), (bare, "nobody")):
            assert await (await task.enqueue()).result(SECONDS) == said


async def test_a_run_is_provided_with_what_it_depends_on(app: Headrace) -> None:
    seen: list[str] = []

    @app.lifespan
    async def pool() -> AsyncIterator[str]:
        yield "pool"

    async def connect(pool: Annotated[str, Depends(pool)]) -> AsyncIterator[str]:
        seen.append("connects")
        try:
            yield f"connection of {pool}"
        except LookupError as exc:
            seen.append(f"rolls back for {exc}")
        finally:
            await asyncio.sleep(0)
            seen.append("disconnects")

    async def user(ctx: Context, connection: Annotated[str, Depends(connect)]) -> str:
        return f"user {ctx.attempt} by {connection}"

    def audit(connection: Annotated[str, Depends(connect)]) -> Iterator[list[str]]:
        yield [connection]
        seen.append("audited")

    @app.task(max_attempts=1)
    async def ask(
        ctx: Context,
        question: str,
        *,
        user: Annotated[str, Depends(user)] = injected,
        audit: Annotated[list[str], Depends(audit)] = injected,
    ) -> list[str]:
        if question == "raise":
            raise KeyError(question)
        if question == "snooze" and ctx.attempt == 1 and "snoozed" not in seen:
            seen.append("snoozed")
            raise Snooze("0s")
        return [question, user, *audit, ctx.state(pool)]

    answer = ["why", "user 1 by connection of pool", "connection of pool", "pool"]
    async with working(app):
        job = await ask.enqueue("why")
        assert await job.result(SECONDS) == answer
        assert seen == ["connects", "audited", "disconnects"]
        seen.clear()
        with pytest.raises(JobDead, match="KeyError"):
            await (await ask.enqueue("raise")).result(SECONDS)
        # What a dependency swallows is raised all the same.
        assert seen == ["connects", "rolls back for 'raise'", "disconnects"]
        seen.clear()
        assert (await (await ask.enqueue("snooze")).result(SECONDS))[0] == "snooze"
        assert seen[:3] == ["connects", "snoozed", "disconnects"]


async def test_cleaning_up_that_fails_fails_the_attempt(app: Headrace) -> None:
    closed: list[str] = []

    def outer() -> Iterator[None]:
        try:
            yield
        except ConnectionError as exc:
            closed.append(str(exc))
            raise

    def commit(_: Annotated[None, Depends(outer)]) -> Iterator[None]:
        yield
        raise ConnectionError("the commit failed")

    @app.task(max_attempts=1)
    def work(commit: Annotated[None, Depends(commit)] = injected) -> object:
        return commit

    async with working(app):
        with pytest.raises(JobDead, match="the commit failed"):
            await (await work.enqueue()).result(SECONDS)
    assert closed == ["the commit failed"]


async def test_what_a_handler_of_a_thread_depends_on(app: Headrace) -> None:
    """Coroutines, and what they need, in the loop; all else in the handler's own thread."""
    loop_thread = threading.current_thread().name

    def settings() -> str:
        return threading.current_thread().name

    async def token(settings: Annotated[str, Depends(settings)]) -> list[str]:
        await asyncio.sleep(0)
        return [settings, threading.current_thread().name]

    def session() -> Iterator[str]:
        yield threading.current_thread().name
        closed_in.append(threading.current_thread().name)

    closed_in: list[str] = []

    @app.task()
    def both(
        session: Annotated[str, Depends(session)] = injected,
        token: Annotated[list[str], Depends(token)] = injected,
    ) -> list[str]:
        return [session, *token, threading.current_thread().name]

    @app.task()
    def thread_alone(session: Annotated[str, Depends(session)] = injected) -> list[str]:
        return [session, threading.current_thread().name]

    async with working(app):
        here, *loops, own = await (await both.enqueue()).result(SECONDS)
        assert loops == [loop_thread, loop_thread]
        assert here == own == closed_in[0] != loop_thread
        here, own = await (await thread_alone.enqueue()).result(SECONDS)
        assert here == own == closed_in[1] != loop_thread


async def test_a_timeout_reaches_what_is_provided(app: Headrace) -> None:
    cleaned: list[str] = []

    async def slow() -> AsyncIterator[None]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cleaned.append("while it opened")
            raise
        yield

    async def opened() -> AsyncIterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            cleaned.append("while the handler ran")
            raise

    @app.task(max_attempts=1, timeout="50ms")
    def waits(slow: Annotated[None, Depends(slow)] = injected) -> None: ...

    @app.task(max_attempts=1, timeout="50ms")
    async def runs(opened: Annotated[None, Depends(opened)] = injected) -> object:
        await asyncio.Event().wait()
        return opened

    async with working(app):
        for task in (waits, runs):
            with pytest.raises(JobDead, match="passed its timeout"):
                await (await task.enqueue()).result(SECONDS)
    assert cleaned == ["while it opened", "while the handler ran"]


async def test_error_hooks_are_told_of_what_failed_and_harm_nothing(
    app: Headrace, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Any] = []

    @app.on_error
    async def broken(ctx: Context, exc: BaseException) -> None:
        raise RuntimeError(f"the tracker is down for {ctx.task}") from exc

    @app.on_error
    def tracker(ctx: Context, exc: BaseException) -> None:
        told.append((ctx.task, ctx.attempt, type(exc).__name__, tenant.get()))

    @app.task(max_attempts=2, retry="seed-000")
    async def fails(ctx: Context) -> None:
        tenant.set("acme")
        if ctx.attempt == 2:
            raise ValueError("again")
        raise Retry("not an error", after="0s")

    @app.task(max_attempts=1)
    def in_thread() -> None:
        tenant.set("thread")
        raise SystemExit(3)

    @app.task(max_attempts=1, timeout="50ms")
    async def hangs() -> None:
        await asyncio.Event().wait()

    @app.task(max_attempts=1)
    async def odd() -> object:
        return object()

    @app.task()
    async def fine() -> None: ...

    async with working(app):
        for task in (fails, in_thread, hangs, odd):
            with pytest.raises(JobDead):
                await (await task.enqueue()).result(SECONDS)
        await (await fine.enqueue()).result(SECONDS)
    assert sorted(told) == [
        ("fails", 2, "ValueError", "acme"),
        ("hangs", 1, "TimeoutError", "nobody"),
        ("in_thread", 1, "SystemExit", "thread"),
        ("odd", 1, "BadPayload", "nobody"),
    ]
    assert "the tracker is down for fails" in caplog.text


async def test_a_slow_error_hook_misses_errors_and_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.worker.reporter._MOST", 2)
    app, gate, told = Headrace("slow"), asyncio.Event(), list[str]()

    async def hook(_: Context, exc: BaseException) -> None:
        told.append(str(exc))
        await gate.wait()

    reporter = Reporter([hook])

    @app.task()
    async def says(ctx: Context) -> None:
        for number in range(5):
            reporter.tell(ctx, ValueError(number))

    with caplog.at_level(logging.WARNING):
        await says()
        gate.set()
        await reporter.close()
    assert told == ["0", "1"]
    assert "3 errors were not told" in caplog.text


@pytest.fixture
async def surrounded(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[ModuleType]:
    monkeypatch.setenv("HEADRACE_DATABASE_URL", migrated_url)
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    sys.modules.pop("integration.surrounded", None)
    module = import_module("integration.surrounded")
    async with module.app:
        yield module


async def test_all_of_it_is_there_in_a_process_of_its_own(surrounded: ModuleType) -> None:
    told = Path(os.environ["TOLD"])
    async with working(surrounded.app):
        number, pid, session = await (await surrounded.ask.enqueue(7)).result(SECONDS)
        assert (number, session) == (7, f"session on pool of {pid}")
        assert pid != os.getpid()
        assert told.read_text().splitlines() == ["> marked ask", "< marked"]
        told.write_text("")
        job = await surrounded.fail.enqueue()
        with pytest.raises(JobDead, match="session"):
            await job.result(SECONDS)
        await until(lambda: "error" in told.read_text())
        assert told.read_text().splitlines() == [
            "> unmarked fail",
            "> in the thread",
            "rolled back for session",
            "< in the thread",
            "< unmarked",
            f"error ValueError in attempt 1 of fail, told by {pid}",
        ]
        dead = await surrounded.die.enqueue()
        with pytest.raises(JobDead, match="SIGKILL"):
            await dead.result(SECONDS)
        await dead.refresh()
        assert dead.state is State.DEAD
        ours = f"error ChildDied in attempt 1 of die, told by {os.getpid()}"
        await until(lambda: ours in told.read_text())


async def test_a_plain_call_runs_what_it_depends_on_or_is_given_it(surrounded: ModuleType) -> None:
    with pytest.raises(UsageError, match=r"hook open_pool is open in workers alone"):
        await surrounded.ask(1)
    assert await surrounded.ask(1, session="mine") == [1, os.getpid(), "mine"]
    assert await surrounded.ask(1, "mine") == [1, os.getpid(), "mine"]
    async with surrounded.app.living():
        assert (await surrounded.ask(1))[2] == f"session on pool of {os.getpid()}"
        with pytest.raises(ValueError, match="session"):
            surrounded.fail()
