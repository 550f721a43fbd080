"""Jobs in memory, as tests of applications use them."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest

from headrace import (
    Cancel,
    Context,
    Depends,
    Headrace,
    JobNotFound,
    Retry,
    Snooze,
    State,
    Unique,
    UnknownQueue,
    UsageError,
    injected,
)
from headrace.middleware import Next
from headrace.testing.kit.memory import MemoryJobs, in_memory

Fixture = Callable[[Headrace], MemoryJobs]


class Shop:
    """An application whose handlers do as their argument says."""

    def __init__(self) -> None:
        self.app = Headrace("shop", database_url="postgresql://nobody@127.0.0.1:1/none")
        self.seen: list[tuple[str, object]] = []
        self.threads: list[str] = []

        @self.app.task(queue="work", max_attempts=3)
        async def work(how: str, more: dict[str, Any] | None = None) -> str:
            self.seen.append((how, more))
            if how == "raise":
                raise ValueError("boom")
            if how == "retry":
                raise Retry("busy", after="30s")
            if how == "snooze":
                raise Snooze("1m")
            if how == "cancel":
                raise Cancel("not wanted")
            return how

        @self.app.task(queue="plain")
        def count_down(n: int) -> int:
            self.threads.append(threading.current_thread().name)
            if n:
                count_down.enqueue_sync(n - 1)
            return n

        @self.app.task(queue="other")
        async def parent(n: int) -> None:
            for number in range(n):
                await work.enqueue(str(number))

        self.work, self.count_down, self.parent = work, count_down, parent


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def jobs(shop: Shop, headrace_manual: Fixture) -> MemoryJobs:
    return headrace_manual(shop.app)


@pytest.fixture
def inline(shop: Shop, headrace_inline: Fixture) -> MemoryJobs:
    return headrace_inline(shop.app)


async def test_nothing_runs_until_it_is_asked_for(shop: Shop, jobs: MemoryJobs) -> None:
    job = await shop.work.enqueue("one")
    assert (shop.seen, (await job.refresh()).state) == ([], State.AVAILABLE)
    (ran,) = await jobs.drain_queue()
    assert (ran.id, ran.state, shop.seen) == (job.id, State.COMPLETED, [("one", None)])
    assert await job.result() == "one"
    assert await jobs.drain_queue() == []


async def test_what_a_job_enqueues_is_drained_too(shop: Shop, jobs: MemoryJobs) -> None:
    await shop.parent.enqueue(3)
    assert [job.task for job in await jobs.drain_queue()] == ["parent", "work", "work", "work"]


async def test_one_queue_is_drained_alone(shop: Shop, jobs: MemoryJobs) -> None:
    await shop.parent.enqueue(2)
    assert [job.task for job in await jobs.drain_queue("other")] == ["parent"]
    jobs.assert_enqueued(shop.work, state="available", count=2)
    with pytest.raises(UnknownQueue, match="nowhere"):
        await jobs.drain_queue("nowhere")


async def test_an_assertion_compares_what_is_given(shop: Shop, jobs: MemoryJobs) -> None:
    later = shop.work.options(delay="10m", priority="high", tenant="acme")
    handle = await later.enqueue("x", {"a": {"b": 1, "c": [1, 2]}, "d": 2})
    job = jobs.assert_enqueued(
        shop.work,
        args={"how": "x", "more": {"a": {"c": (1, 2)}}},
        delay=timedelta(minutes=10),
        priority=3,
        tenant="acme",
        queue="work",
        state="scheduled",
        count=1,
    )
    assert job.id == handle.id
    assert jobs.assert_enqueued("work", args={"how": "x"}).id == handle.id
    for wrong in (
        {"args": {"how": "y"}},
        {"args": {"more": {"a": {"b": 2}}}},
        {"args": {"more": {"e": 2}}},
        {"delay": "9m"},
        {"priority": "low"},
        {"tenant": ""},
        {"queue": "other"},
        {"state": "completed"},
        {"count": 2},
    ):
        with pytest.raises(AssertionError, match="expected"):
            jobs.assert_enqueued(shop.work, **wrong)
    jobs.refute_enqueued(shop.parent)
    jobs.refute_enqueued(shop.work, args={"how": "y"})
    with pytest.raises(AssertionError, match='expected no job of "work", found 1'):
        jobs.refute_enqueued(shop.work)


async def test_a_time_is_that_of_the_callers_clock(shop: Shop, jobs: MemoryJobs) -> None:
    await jobs.advance("1h")
    moment = datetime.now(UTC) + timedelta(minutes=5)
    await shop.work.options(run_at=moment).enqueue("x")
    jobs.assert_enqueued(shop.work, run_at=moment, state="scheduled")
    assert await jobs.drain_queue() == []
    await jobs.advance("5m")
    assert len(await jobs.drain_queue()) == 1
    await shop.work.options(run_at=moment - timedelta(days=1)).enqueue("x")
    assert len(await jobs.drain_queue()) == 1


async def test_a_failure_shows_what_there_is_the_nearest_first(
    shop: Shop, jobs: MemoryJobs
) -> None:
    with pytest.raises(AssertionError, match="found none; no job at all was enqueued"):
        jobs.assert_enqueued(shop.work)
    await shop.parent.enqueue(1)
    await shop.work.enqueue("far", {"a": 1})
    await shop.work.options(delay="1m").enqueue("near", {"a": 2})
    with pytest.raises(AssertionError) as failure:
        jobs.assert_enqueued(shop.work, args={"how": "near", "more": {"a": 1}}, delay="1m")
    head, *table = str(failure.value).splitlines()
    assert head.startswith('expected a job of "work" with args=')
    cells = [line.split("  ") for line in table]
    assert [[cell.strip() for cell in row if cell.strip()] for row in cells] == [
        ["task", "queue", "state", "delay", "args", "differs in"],
        ["work", "work", "scheduled", "60s", '{"how":"near","more":{"a":2}}', "args.more.a"],
        ["work", "work", "available", "-", '{"how":"far","more":{"a":1}}', "delay, args.how"],
        ["parent", "other", "available", "-", '{"n":1}', "task, delay, args.how, args.more"],
    ]
    assert len({line.index("{") for line in table[1:]}) == 1, "columns stand below each other"


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        ({"args": {"hwo": 1}}, '"hwo" is no argument of "work"; did you mean "how"'),
        ({"qeue": "work"}, 'did you mean "queue"'),
        ({"state": "compleated"}, 'did you mean "completed"'),
        ({"priority": 11}, "priority=11 is unknown"),
        ({"delay": 5}, "delay"),
        ({"count": 0}, "use refute_enqueued"),
    ],
)
async def test_an_expectation_that_cannot_be(
    shop: Shop, jobs: MemoryJobs, expected: dict[str, Any], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        jobs.assert_enqueued(shop.work, **expected)


async def test_retries_wait_for_the_clock(shop: Shop, jobs: MemoryJobs) -> None:
    job = await shop.work.enqueue("retry")
    for attempt in (1, 2):
        (ran,) = await jobs.drain_queue()
        assert (ran.id, ran.state, ran.attempt) == (job.id, State.RETRYABLE, attempt)
        await jobs.advance("29s")
        assert await jobs.drain_queue() == []
        await jobs.advance("1s")
    (ran,) = await jobs.drain_queue()
    assert (ran.state, ran.attempt, (ran.error or {})["message"]) == (State.DEAD, 3, "busy")


async def test_everything_that_waits_can_be_drained(shop: Shop, jobs: MemoryJobs) -> None:
    await shop.work.enqueue("raise")
    await shop.work.options(delay="3d").enqueue("later")
    dead, done = await jobs.drain_queue(with_scheduled=True)
    assert (dead.state, dead.failures, done.state) == (State.DEAD, 3, State.COMPLETED)


async def test_what_waits_for_ever_is_no_endless_test(
    shop: Shop, jobs: MemoryJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.testing.kit.memory._MOST", 50)
    await shop.work.enqueue("snooze")
    with pytest.raises(AssertionError, match="over 50 runs"):
        await jobs.drain_queue(with_scheduled=True)


async def test_a_cancelled_job_says_so(shop: Shop, jobs: MemoryJobs) -> None:
    await shop.work.enqueue("cancel")
    waiting = await shop.work.options(delay="1h").enqueue("x")
    assert await waiting.cancel("she called")
    (ran,) = await jobs.drain_queue(with_scheduled=True)
    assert ran.state is State.CANCELLED
    jobs.assert_enqueued(shop.work, state="cancelled", count=2)


async def test_one_job_is_processed_whenever_it_is_due(shop: Shop, jobs: MemoryJobs) -> None:
    done = await jobs.process_job(shop.work.job("x", {"at": datetime(2031, 1, 2, tzinfo=UTC)}))
    assert (done.state, bytes(done.result or b"")) == (State.COMPLETED, b'"x"')
    assert shop.seen == [("x", {"at": "2031-01-02T00:00:00Z"})], "through JSON and back"
    later = await shop.work.options(delay="1h").enqueue("raise")
    assert (await jobs.process_job(later)).attempt == 1
    assert (await jobs.process_job(later.id)).attempt == 2
    assert (await jobs.process_job(str(later.id))).state is State.DEAD
    with pytest.raises(UsageError, match="is dead and cannot be run"):
        await jobs.process_job(later)
    with pytest.raises(JobNotFound):
        await jobs.process_job("01a20825-78c4-7e69-89ae-f43d0a4a1687")


async def test_an_unknown_queue_is_refused(shop: Shop, jobs: MemoryJobs) -> None:
    with pytest.raises(UnknownQueue, match="nowhere"):
        await shop.work.options(queue="nowhere").enqueue("x")
    jobs.refute_enqueued()


async def test_unique_jobs_are(shop: Shop, jobs: MemoryJobs) -> None:
    once = shop.work.options(unique=Unique(by=["how"]))
    first, second = await once.enqueue("x", {"a": 1}), await once.enqueue("x", {"a": 2})
    assert (second.id, second.duplicate) == (first.id, True)
    await jobs.drain_queue()
    assert not (await once.enqueue("x")).duplicate


async def test_a_timeout_ends_a_handler(headrace_manual: Fixture) -> None:
    app = Headrace("slow")

    @app.task(timeout="10ms", max_attempts=1)
    async def sleep() -> None:
        await asyncio.Event().wait()

    jobs = headrace_manual(app)
    job = await jobs.process_job(sleep.job())
    assert (job.state, (job.error or {})["type"]) == (State.DEAD, "Timeout")


async def test_a_handler_that_cancels_its_task_is_not_the_test(headrace_inline: Fixture) -> None:
    app = Headrace("odd")

    @app.task(max_attempts=1)
    async def cancel() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    headrace_inline(app)
    job = await cancel.enqueue()
    assert (await job.refresh()).state is State.DEAD


async def test_a_test_that_is_cancelled_takes_the_handler_along(headrace_inline: Fixture) -> None:
    app, ended = Headrace("long"), asyncio.Event()
    begun = asyncio.Event()

    @app.task()
    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    headrace_inline(app)
    enqueuing = asyncio.create_task(wait.enqueue())
    await begun.wait()
    enqueuing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await enqueuing
    assert ended.is_set()


async def test_hooks_are_open_around_each_run(headrace_manual: Fixture) -> None:
    app, happened = Headrace("hooks"), list[str]()

    @app.lifespan
    async def hook() -> AsyncIterator[None]:
        happened.append("open")
        yield
        happened.append("close")

    @app.task()
    async def work(ctx: Context) -> None:
        happened.append(f"run {ctx.attempt}")

    jobs = headrace_manual(app)
    await work.enqueue()
    await jobs.drain_queue()
    assert happened == ["open", "run 1", "close"]


async def test_memory_has_no_transactions_for_handlers(headrace_manual: Fixture) -> None:
    app = Headrace("tx")

    @app.task(max_attempts=1)
    async def work(ctx: Context) -> None:
        async with ctx.transaction():
            pass

    jobs = headrace_manual(app)
    job = await jobs.process_job(work.job())
    assert "test this task with headrace_real" in str((job.error or {})["message"])


async def test_inline_jobs_run_before_enqueue_returns(shop: Shop, inline: MemoryJobs) -> None:
    await shop.parent.enqueue(2)
    assert [how for how, _ in shop.seen] == ["0", "1"]
    failed = await shop.work.enqueue("retry")
    assert (await failed.refresh()).state is State.RETRYABLE
    assert await inline.advance("29s") == []
    (again,) = await inline.advance("1s")
    assert (again.id, again.attempt) == (failed.id, 2)
    assert (await inline.process_job(shop.work.job("once"))).attempt == 1
    assert [how for how, _ in shop.seen].count("once") == 1


async def test_inline_jobs_of_a_transaction_wait(shop: Shop, inline: MemoryJobs) -> None:
    await shop.work.enqueue("x", tx=object())
    inline.assert_enqueued(shop.work, state="available")
    assert len(await inline.drain_queue()) == 1


def test_plain_handlers_run_on_the_thread_of_the_caller(shop: Shop, inline: MemoryJobs) -> None:
    job = shop.count_down.enqueue_sync(2)
    assert job.result_sync() == 2
    assert shop.threads == [threading.current_thread().name] * 3
    inline.assert_enqueued(shop.count_down, state="completed", count=3)


async def test_plain_handlers_do_not_block_a_running_loop(shop: Shop, inline: MemoryJobs) -> None:
    await shop.count_down.enqueue(1)
    inline.assert_enqueued(shop.count_down, state="completed", count=2)
    assert threading.current_thread().name not in shop.threads


def test_verbs_have_twins(shop: Shop, jobs: MemoryJobs) -> None:
    shop.work.enqueue_sync("x")
    assert [job.state for job in jobs.drain_queue_sync()] == [State.COMPLETED]
    assert jobs.process_job_sync(shop.work.job("y")).state is State.COMPLETED
    shop.work.options(delay="1h").enqueue_sync("z")
    assert jobs.advance_sync("1h") == []
    assert len(jobs.drain_queue_sync()) == 1


def test_jobs_of_all_loops_are_the_same(shop: Shop, jobs: MemoryJobs) -> None:
    async def request() -> None:
        async with shop.app:  # the hooks of a web application
            await shop.work.enqueue("in a loop of its own")

    asyncio.run(request())
    shop.work.enqueue_sync("by a thread without one")
    jobs.assert_enqueued(shop.work, count=2)


async def test_a_spy_writes_down_calls(shop: Shop, inline: MemoryJobs) -> None:
    spy, fn = inline.spy(shop.work), shop.work.fn
    await shop.work.enqueue("x", more={"a": 1})
    await shop.work.enqueue("raise")
    good, bad = spy.calls
    assert (good.args, good.kwargs) == ((), {"how": "x", "more": {"a": 1}})
    assert (good.result, good.error) == ("x", None)
    assert isinstance(bad.error, ValueError)
    assert "raised ValueError" in repr(bad)
    assert shop.work.fn is fn


async def test_a_spy_waits(shop: Shop, jobs: MemoryJobs) -> None:
    spy = jobs.spy(shop.work)
    job = await shop.work.enqueue("raise")
    with pytest.raises(AssertionError, match=r"is available, not started, after 0\.01 s"):
        await spy.wait_for(job, "started", timeout="10ms")
    waiting = asyncio.create_task(spy.wait_for(job, "failed"))
    await jobs.drain_queue()
    assert (await waiting).failures == 1
    with pytest.raises(AssertionError, match=r"is dead \(ValueError: boom\) will not be completed"):
        await asyncio.gather(spy.wait_for(job, "completed"), jobs.drain_queue(with_scheduled=True))
    with pytest.raises(UsageError, match="known: started"):
        await spy.wait_for(job, "done")  # type: ignore[arg-type] # the case


def test_an_application_is_itself_again_after_the_test(shop: Shop) -> None:
    with in_memory(shop.app, inline=False) as jobs:
        shop.work.enqueue_sync("x")
        jobs.assert_enqueued(shop.work)
    with pytest.raises(UsageError, match="not started"):
        asyncio.run(_enqueue(shop))
    with in_memory(shop.app, inline=False) as jobs:
        jobs.refute_enqueued()


async def _enqueue(shop: Shop) -> None:
    await shop.work.enqueue("x")


def test_the_plugin_costs_nothing_where_it_is_not_used() -> None:
    code = "import sys, headrace.testing.plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"asyncpg", "msgspec", "pydantic", "redis", "headrace.app", "headrace.worker"}
    assert not heavy & set(done.stdout.split())


async def test_what_surrounds_a_run_surrounds_it_here_too(headrace_manual: Fixture) -> None:
    told: list[object] = []

    async def around(ctx: Context, call_next: Next) -> object:
        told.append(("before", ctx.task))
        return await call_next()

    app = Headrace("shop", middleware=[around])

    @app.on_error
    async def report(ctx: Context, exc: BaseException) -> None:
        told.append((ctx.attempt, str(exc)))

    async def price() -> int:
        return 7

    @app.task(queue="work", max_attempts=1)
    async def sell(of: Annotated[int, Depends(price)] = injected) -> int:
        told.append(of)
        raise ValueError("password=hunter2")

    jobs = headrace_manual(app)
    job = await jobs.process_job(sell.job())
    assert told == [("before", sell.name), 7, (1, "password=hunter2")]
    assert job.error is not None
    assert job.error["message"] == "password=***"


async def test_what_a_handler_tells_is_kept(headrace_manual: Fixture) -> None:
    app = Headrace("shop")

    @app.task(queue="work")
    async def pack(ctx: Context) -> None:
        ctx.log("wrapped")
        ctx.progress(0.5, "half")

    told = (await headrace_manual(app).process_job(pack.job())).told
    assert [line.text for line in told.log] == ["wrapped"]
    assert told.progress is not None
    assert told.progress.fraction == 0.5


async def test_a_batch_task_takes_each_job_in_a_call_of_its_own(headrace_manual: Fixture) -> None:
    app = Headrace("shop")
    calls: list[list[int]] = []

    @app.task(queue="work", batch=50, batch_wait="1h")
    async def add(numbers: list[int]) -> list[int]:
        calls.append(numbers)
        return [number + 1 for number in numbers]

    jobs = headrace_manual(app)
    await add.enqueue(1)
    await add.enqueue(2)
    done = await jobs.drain_queue("work")
    assert calls == [[1], [2]]
    assert [job.state for job in done] == [State.COMPLETED] * 2
