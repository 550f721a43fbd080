"""Tasks whose handler takes many jobs in one call."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import asyncpg
import pytest

from headrace import (
    Context,
    Depends,
    Headrace,
    JobCancelled,
    JobHandle,
    Retry,
    Snooze,
    State,
    UsageError,
    injected,
)
from headrace.middleware import Next
from headrace.worker.worker import Worker
from integration.served import MODES, served, until

SECONDS = "20s"


@dataclass
class Event:
    name: str
    number: int


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:
        yield app


@asynccontextmanager
async def working(app: Headrace, calls: int = 2) -> AsyncIterator[Worker]:
    worker = Worker(app, {"default": calls})
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def outcomes(jobs: list[JobHandle[Any]]) -> list[object]:
    """Results, or what was raised instead."""
    waiting = (job.result(SECONDS) for job in jobs)
    found = await asyncio.gather(*waiting, return_exceptions=True)
    return [str(one) if isinstance(one, BaseException) else one for one in found]


async def test_a_call_takes_many_jobs_and_each_has_its_result(app: Headrace) -> None:
    calls: list[list[Event]] = []

    @app.task(batch=4, batch_wait="5s")
    async def index(events: list[Event]) -> list[str]:
        calls.append(events)
        return [f"{one.name} {one.number}" for one in events]

    jobs = await app.enqueue_many([index.job(Event("e", n)) for n in range(8)])
    async with working(app):
        assert await outcomes(jobs) == [f"e {n}" for n in range(8)]
    # A full batch waits for nobody; both had room for all.
    assert [len(call) for call in calls] == [4, 4]
    assert all(isinstance(one, Event) for call in calls for one in call)


async def test_what_comes_alone_is_called_after_its_wait(app: Headrace) -> None:
    @app.task(batch=100, batch_wait="20ms")
    async def count(items: list[int]) -> None:
        seen.append(len(items))

    seen: list[int] = []
    async with working(app):
        for number in range(2):
            await (await count.enqueue(number)).result(SECONDS)
    assert seen == [1, 1]


async def test_each_job_may_end_in_another_way(app: Headrace) -> None:
    woken: set[str] = set()

    @app.task(batch=10, batch_wait="50ms", max_attempts=1)
    async def each(contexts: list[Context], items: list[str]) -> list[object]:
        ways: dict[str, object] = {"fails": ValueError("no"), "dies": Retry("busy")}
        for ctx in contexts:
            ctx.log(f"attempt {ctx.attempt}")
        if "snoozes" in items and "snoozes" not in woken:
            woken.add("snoozes")
            ways["snoozes"] = Snooze("0s")
        return [ways.get(one, one.upper()) for one in items]

    jobs = await app.enqueue_many([each.job(x) for x in ("fine", "fails", "dies", "snoozes")])
    async with working(app):
        fine, fails, dies, snoozes = await outcomes(jobs)
    assert (fine, snoozes) == ("FINE", "SNOOZES")
    assert "ValueError: no" in str(fails)
    assert "Retry: busy" in str(dies)
    assert [one.text for one in (await jobs[0].refresh()).told.log] == ["attempt 1"]


async def test_what_a_call_raises_fails_all_of_it_and_nothing_else(app: Headrace) -> None:
    @app.task(batch=3, batch_wait="5s", max_attempts=1)
    async def index(items: list[str]) -> list[str]:
        if "down" in items:
            raise ConnectionError("the index is down")
        return items[: -1 if "short" in items else None]

    async with working(app, calls=1):
        for item, ended in (
            ("down", "the index is down"),
            ("short", "returned 2 outcomes for 3 jobs; return None, or a list"),
            ("fine", "fine"),
        ):
            jobs = await app.enqueue_many([index.job(item) for _ in range(3)])
            assert [ended in str(one) for one in await outcomes(jobs)] == [True] * 3


async def test_a_timeout_is_that_of_the_call_and_begins_with_it(app: Headrace) -> None:
    ended: list[str] = []

    @app.task(batch=2, batch_wait="5s", max_attempts=1, timeout="300ms")
    async def hangs(items: list[int]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(f"cancelled with {len(items)}")
            raise

    jobs = await app.enqueue_many([hangs.job(n) for n in range(2)])
    async with working(app):
        assert all("Timeout: the attempt passed" in str(one) for one in await outcomes(jobs))
    assert ended == ["cancelled with 2"]


async def test_a_wish_to_cancel_one_ends_no_other(app: Headrace) -> None:
    gate = asyncio.Event()
    held: list[Context] = []

    @app.task(batch=2, batch_wait="5s")
    async def holds(contexts: list[Context], items: list[int]) -> list[object]:
        held.extend(contexts)
        await gate.wait()
        return [Retry("not done", after="1h") if one == 0 else one for one in items]

    jobs = await app.enqueue_many([holds.job(n) for n in range(2)])
    async with working(app):
        await until(lambda: held)
        await jobs[0].cancel("not wanted")
        await until(lambda: any(ctx.cancellation is not None for ctx in held))
        gate.set()
        assert await jobs[1].result(SECONDS) == 1
        with pytest.raises(JobCancelled, match="not wanted"):
            await jobs[0].result(SECONDS)


async def test_suspects_of_a_batch_run_each_alone(
    migrated_url: str, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_DATABASE_URL", migrated_url)
    sys.modules.pop("integration.apart", None)
    apart = import_module("integration.apart")
    async with apart.app as app:
        jobs = await app.enqueue_many([apart.batch_of.job(item) for item in ("a", "kill", "b")])
        # As if two workers had died that ran all of them in one call.
        await sql.execute("UPDATE headrace.job SET crashes = 2, failures = 1, max_attempts = 2")
        await Worker(app, {"batches": 1}).run(burst=True)
        one, killed, other = await outcomes(jobs)
    assert isinstance(one, int)
    assert isinstance(other, int)
    assert os.getpid() not in (one, other)
    assert "Poison: the process of the handler was killed by SIGKILL, alone" in str(killed)


async def test_middleware_stands_around_each_and_dependencies_around_the_call(
    app: Headrace,
) -> None:
    seen: list[str] = []

    @app.middleware
    async def around(ctx: Context, call_next: Next) -> object:
        seen.append(f"around {ctx.task}")
        return await call_next()

    async def session() -> AsyncIterator[str]:
        seen.append("opens")
        yield "session"
        seen.append("closes")

    @app.task(batch=2, batch_wait="5s")
    async def index(
        items: list[int], session: Annotated[str, Depends(session)] = injected
    ) -> list[str]:
        seen.append(f"calls for {len(items)}")
        return [session] * len(items)

    jobs = await app.enqueue_many([index.job(n) for n in range(2)])
    async with working(app):
        assert await outcomes(jobs) == ["session", "session"]
    assert seen == [*["around index"] * 2, "opens", "calls for 2", "closes"]
    assert await index(7) == "session"


async def test_no_more_calls_run_at_a_time_than_the_worker_has_slots_for(app: Headrace) -> None:
    running, most = 0, 0

    @app.task(batch=2, batch_wait="1ms")
    async def index(_: list[int]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1

    jobs = await app.enqueue_many([index.job(n) for n in range(20)])
    async with working(app, calls=2):
        await outcomes(jobs)
    assert most == 2


async def test_a_worker_that_stops_interrupts_its_calls(migrated_url: str) -> None:
    app = Headrace("tests", database_url=migrated_url)
    begun = asyncio.Event()

    @app.task(batch=2, batch_wait="1ms")
    async def hangs(_: list[int]) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with app:
        job = await hangs.enqueue(1)
        worker = Worker(app, {"default": 1}, grace=0.05)
        await worker.start()
        await begun.wait()
        await worker.stop()
        left = await job.refresh()
        assert left.state is State.RETRYABLE
        assert (left.error or {})["type"] == "Interrupted"


def _sync(items: list[int]) -> None: ...


async def bare(item: int) -> None: ...


async def two(items: list[int], more: list[int]) -> None: ...


async def _one(_: list[int]) -> None: ...


@pytest.mark.parametrize(
    ("fn", "options", "message"),
    [
        (_sync, {"batch": 2}, "needs an `async def` function, not"),
        (bare, {"batch": 2}, 'task "bare": "item" takes the arguments of many jobs; annotate it'),
        (two, {"batch": 2}, 'task "two" takes many jobs in one call: write `async def two'),
        (_one, {"batch": 0}, "batch=0 is no number of jobs; give 1 to 1,000"),
        (_one, {"batch": True}, "batch=True is no number of jobs"),
        (_one, {"batch": 2, "batch_wait": 3}, "batch_wait"),
        (_one, {"batch": 2, "executor": "process"}, "a batch task runs in its worker; leave out"),
        (_one, {"batch_wait": "1s"}, '"batch_wait" is no option of a task'),
    ],
)
def test_what_no_batch_task_is(fn: Any, options: dict[str, Any], message: str) -> None:
    app = Headrace("tests", database_url="postgresql://nobody@localhost/none")
    with pytest.raises(UsageError, match=message):
        app.task(**options)(fn)


def test_a_queue_has_calls_of_one_size() -> None:
    app = Headrace("tests", database_url="postgresql://nobody@localhost/none")
    app.task(batch=2, name="one")(_one)
    with pytest.raises(UsageError, match='tasks "one" and "other" take 2 and 1 jobs a call, on on'):
        app.task(name="other")(_one)
    app.task(name="other", queue="elsewhere")(_one)
