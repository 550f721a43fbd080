"""A handler that cancels its own task fails its attempt; its slot goes on with the next job."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from headrace import Context, Headrace, JobHandle, State, Task
from headrace.worker.worker import Worker
from integration.served import until
from steady_pace import SteadyPace

BY_ITSELF = "the handler cancelled its own task, or a task that it started did"
BY_WHAT_IT_AWAITED = (
    "the handler raised CancelledError: something that it awaited was cancelled; catch that there"
)
TIMED_OUT = "the attempt passed its timeout of 0:00:00.200000"


def here() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    assert task is not None
    return task


async def cancels_itself() -> None:
    here().cancel()
    await asyncio.sleep(0)


async def cancels_itself_twice() -> None:
    here().cancel()
    here().cancel()
    await asyncio.sleep(0)


async def cancels_itself_in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.Event().wait())
        here().cancel()
        await asyncio.Event().wait()


async def is_cancelled_by_its_own_child() -> None:
    parent = here()

    async def child() -> None:
        parent.cancel()

    async with asyncio.TaskGroup() as group:
        group.create_task(child())
        group.create_task(asyncio.Event().wait())


async def cancels_itself_within_a_timeout() -> None:
    async with asyncio.timeout(30):
        await cancels_itself()


async def cancels_itself_later() -> None:
    asyncio.get_running_loop().call_soon(here().cancel)
    await asyncio.Event().wait()


async def raises_by_hand() -> None:
    raise asyncio.CancelledError


async def awaits_what_is_cancelled() -> None:
    inner: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    inner.cancel()
    await inner


async def awaits_a_cancelled_task() -> None:
    inner = asyncio.create_task(asyncio.Event().wait())
    asyncio.get_running_loop().call_soon(inner.cancel)
    await inner


async def cancels_itself_when_its_time_is_up() -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await cancels_itself()


async def cancels_itself_before_its_time_is_up() -> None:
    try:
        await cancels_itself()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


def raises_in_its_thread() -> None:
    raise asyncio.CancelledError


CANCELLED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "itself": (cancels_itself, "Cancelled", BY_ITSELF),
    "twice": (cancels_itself_twice, "Cancelled", BY_ITSELF),
    "in a group": (cancels_itself_in_a_group, "Cancelled", BY_ITSELF),
    "by its child": (is_cancelled_by_its_own_child, "Cancelled", BY_ITSELF),
    "within a timeout": (cancels_itself_within_a_timeout, "Cancelled", BY_ITSELF),
    "later": (cancels_itself_later, "Cancelled", BY_ITSELF),
    "by hand": (raises_by_hand, "Cancelled", BY_WHAT_IT_AWAITED),
    "an inner future": (awaits_what_is_cancelled, "Cancelled", BY_WHAT_IT_AWAITED),
    "an inner task": (awaits_a_cancelled_task, "Cancelled", BY_WHAT_IT_AWAITED),
    "in a thread": (raises_in_its_thread, "Cancelled", BY_WHAT_IT_AWAITED),
    "after its timeout": (cancels_itself_when_its_time_is_up, "Timeout", TIMED_OUT),
    "before its timeout": (cancels_itself_before_its_time_is_up, "Timeout", TIMED_OUT),
}


@pytest.fixture
async def ping(app: Headrace) -> Task[[], str]:
    """A task whose jobs run after the others'."""

    @app.task(queue="q", max_attempts=1)
    async def ping() -> str:
        await asyncio.sleep(0)  # a cancellation that was left over would show here
        return "pong" if here().cancelling() == 0 else "cancelled before it began"

    return ping


@contextmanager
def in_one_slot(app: Headrace) -> Iterator["asyncio.Task[None]"]:
    worker = Worker(app, {"q": 1}, pace=lambda: SteadyPace(1))
    running = asyncio.create_task(worker.run())
    try:
        yield running
    finally:
        worker.finish()


async def error_of(job: JobHandle[Any]) -> tuple[object, object]:
    await until(lambda: is_over(job))
    found = await job.refresh()
    assert (found.state, found.failures, found.crashes) == (State.DEAD, 1, 0)
    error = found.error or {}
    return error["type"], error["message"]


async def is_over(job: JobHandle[Any]) -> bool:
    return (await job.refresh()).state.final


@pytest.mark.parametrize(("handler", "kind", "message"), CANCELLED.values(), ids=CANCELLED)
async def test_a_handler_that_is_cancelled_fails_alone(
    app: Headrace, ping: Task[[], str], handler: Callable[[], Any], kind: str, message: str
) -> None:
    odd = app.task(queue="q", max_attempts=1, timeout="200ms")(handler)
    broken, after = await odd.enqueue(), await ping.enqueue()
    with in_one_slot(app) as worker:
        assert await error_of(broken) == (kind, message)
        assert await after.result("10s") == "pong"
    await worker


async def test_a_handler_that_returns_before_its_cancellation_is_delivered_is_done(
    app: Headrace, ping: Task[[], str]
) -> None:
    @app.task(queue="q", max_attempts=1)
    async def returns() -> str:
        here().cancel()
        return "done"

    done, after = await returns.enqueue(), await ping.enqueue()
    with in_one_slot(app) as worker:
        assert (await done.result("10s"), await after.result("10s")) == ("done", "pong")
    await worker


async def test_a_cancellation_that_outlives_its_handler_hits_no_slot_that_rests(
    app: Headrace, ping: Task[[], str]
) -> None:
    slots: list[asyncio.Task[Any]] = []

    @app.task(queue="q", max_attempts=1)
    async def leaves() -> str:
        slots.append(here())
        return "left"

    with in_one_slot(app) as worker:
        assert await (await leaves.enqueue()).result("10s") == "left"
        slots[0].cancel()
        await asyncio.sleep(0)
        assert await (await ping.enqueue()).result("10s") == "pong"
    await worker


async def test_a_worker_stops_in_order_though_a_slot_that_rested_was_cancelled(
    app: Headrace,
) -> None:
    slots: list[asyncio.Task[Any]] = []
    go_on = asyncio.Event()

    @app.task(queue="q", max_attempts=1)
    async def stays(*, first: bool) -> str:
        slots.append(here())
        if first:
            return "left"
        await go_on.wait()
        return "stayed"

    worker = Worker(app, {"q": 2}, pace=lambda: SteadyPace(1))
    running = asyncio.create_task(worker.run())
    assert await (await stays.enqueue(first=True)).result("10s") == "left"
    job = await stays.enqueue(first=False)
    await until(lambda: len(slots) == 2)
    assert slots[0] is not slots[1]  # the one that rested longest runs the next job
    slots[0].cancel()
    worker.finish()
    go_on.set()
    await running
    assert await job.result("10s") == "stayed"


async def test_a_cancellation_that_comes_while_the_completion_commits_fails_the_attempt(
    app: Headrace, sql: asyncpg.Connection, ping: Task[[], str]
) -> None:
    begun: asyncio.Future[tuple[asyncio.Task[Any], int]] = asyncio.Future()
    locked = asyncio.Event()

    @app.task(queue="q", max_attempts=1)
    async def write(ctx: Context) -> None:
        async with ctx.transaction() as tx:
            begun.set_result((here(), await tx.fetchval("SELECT pg_backend_pid()")))
            await locked.wait()

    job, after = await write.enqueue(), await ping.enqueue()
    with in_one_slot(app) as worker:
        slot, pid = await begun
        async with sql.transaction():
            await sql.execute("SELECT FROM headrace.job WHERE id = $1 FOR UPDATE", job.id)
            locked.set()
            await until(lambda: waits_for_a_lock(sql, pid))
            slot.cancel()
            await until(lambda: waits_no_longer(sql, pid))
        words = "the handler's transaction failed: CancelledError"
        assert await error_of(job) == ("CancelledError", words)
        assert await after.result("10s") == "pong"
    await worker


async def waits_for_a_lock(sql: asyncpg.Connection, pid: int) -> bool:
    await sql.execute("SELECT pg_stat_clear_snapshot()")
    event = await sql.fetchval("SELECT wait_event_type FROM pg_stat_activity WHERE pid = $1", pid)
    return bool(event == "Lock")


async def waits_no_longer(sql: asyncpg.Connection, pid: int) -> bool:
    return not await waits_for_a_lock(sql, pid)


async def test_a_worker_that_stops_interrupts_who_had_cancelled_itself_before(
    app: Headrace,
) -> None:
    swallowed = asyncio.Event()

    @app.task(queue="q", max_attempts=1)
    async def swallow() -> None:
        try:
            await cancels_itself()
        except asyncio.CancelledError:
            swallowed.set()
        await asyncio.Event().wait()

    job = await swallow.enqueue()
    worker = Worker(app, {"q": 1}, grace=0.1)
    await worker.start()
    await swallowed.wait()
    await worker.stop()
    assert await error_of(job) == ("Interrupted", "the worker stopped before the attempt ended")
