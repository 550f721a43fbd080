"""An application against a real ledger: from enqueue to result."""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from headrace import (
    Cancel,
    Context,
    Headrace,
    JobCancelled,
    JobDead,
    JobNotFound,
    ResultTimeout,
    Snooze,
    State,
    UsageError,
)
from headrace.ledger.queries import Queries
from headrace.ledger.rows import Row
from headrace.worker.worker import Worker


@dataclass
class Receipt:
    number: int
    at: datetime


async def work(app: Headrace, *queues: str) -> None:
    """Run what is due, in this process."""
    await Worker(app, dict.fromkeys(queues, 4)).run(burst=True)


async def test_a_job_runs_and_its_result_is_awaited(app: Headrace) -> None:
    @app.task(queue="emails")
    async def greet(ctx: Context, name: str, /, punctuation: str = "!") -> str:
        return f"{ctx.attempt} {name}{punctuation} {ctx.idempotency_key}"

    job = await greet.enqueue("you")
    assert (job.state, job.duplicate) == (State.AVAILABLE, False)
    waiting = asyncio.create_task(job.result())
    await work(app, "emails")
    assert await waiting == f"1 you! {job.id}"
    assert (await job.refresh()).state == job.state == State.COMPLETED


async def test_a_result_is_read_by_the_return_annotation(app: Headrace) -> None:
    at = datetime(2024, 2, 29, 12, tzinfo=UTC)

    @app.task()
    def receipt(number: int) -> Receipt | Snooze:
        return Receipt(number, at)

    job = await receipt.enqueue(7)
    await work(app, "default")
    assert await job.result() == Receipt(7, at)
    assert await (await app.get(str(job.id))).result() == Receipt(7, at)


async def test_a_result_of_a_task_unknown_here_is_plain_json(
    app: Headrace, migrated_url: str
) -> None:
    @app.task()
    def receipt(number: int) -> Receipt:
        return Receipt(number, datetime(2024, 2, 29, tzinfo=UTC))

    job = await receipt.enqueue(7)
    await work(app, "default")
    async with Headrace("other", database_url=migrated_url) as other:
        assert await (await other.get(job.id)).result() == {
            "number": 7,
            "at": "2024-02-29T00:00:00Z",
        }


async def test_a_dead_job_is_told_with_its_error(app: Headrace) -> None:
    @app.task(max_attempts=1)
    async def fail() -> None:
        raise ValueError("no such mailbox")

    job = await fail.enqueue()
    await work(app, "default")
    with pytest.raises(JobDead, match=rf"{job.id} \(fail\) is dead .*ValueError: no such mailbox"):
        await job.result()
    assert job.state is State.DEAD


async def test_a_cancelled_job_is_told_with_its_reason(app: Headrace) -> None:
    @app.task()
    async def give_up() -> None:
        raise Cancel("order was withdrawn")

    job = await give_up.enqueue()
    await work(app, "default")
    with pytest.raises(JobCancelled, match=r"order was withdrawn"):
        await job.result()


async def test_a_job_that_is_not_over_times_out_and_goes_on(app: Headrace) -> None:
    @app.task()
    async def quick() -> int:
        return 1

    job = await quick.options(delay="1h").enqueue()
    assert job.state is State.SCHEDULED
    with pytest.raises(ResultTimeout, match=rf"{job.id} \(quick\) is scheduled after 0.05 s"):
        await job.result(timeout="50ms")
    soon = await quick.enqueue()
    await work(app, "default")
    assert await soon.result(timeout="0s") == 1


async def test_an_unknown_job_is_told_as_such(app: Headrace) -> None:
    missing = uuid4()
    with pytest.raises(JobNotFound, match=rf"job {missing} is not in the ledger"):
        await app.get(missing)
    with pytest.raises(UsageError, match=r"'seven' is not the id of a job; give a UUID"):
        await app.get("seven")


async def test_hundred_waiters_share_one_poller(
    app: Headrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    fetch = Queries.fetch

    async def counting(self: Queries, name: str, *parameters: object) -> Sequence[Row]:
        asked.append(name)
        return await fetch(self, name, *parameters)

    @app.task()
    async def square(number: int) -> int:
        return number * number

    jobs = await app.enqueue_many([square.job(number) for number in range(100)])
    await work(app, "default")
    monkeypatch.setattr(Queries, "fetch", counting)
    results = await asyncio.gather(*(job.result() for job in jobs))
    assert results == [number * number for number in range(100)]
    assert 1 <= len(asked) <= 3


async def test_options_reach_the_ledger(app: Headrace) -> None:
    app.queue("other")

    @app.task(priority="low", max_attempts=2, retry="steps")
    async def plain() -> None: ...

    job = (await (await plain.enqueue()).refresh(), await app.get((await plain.enqueue()).id))[0]
    assert (job.queue, job.priority, job.max_attempts, job.tenant) == ("default", 7, 2, "")
    at = datetime.now(UTC) + timedelta(hours=2)
    bound = plain.options(run_at=at, priority=1, queue="other", max_attempts=9, tenant="acme")
    job = await (await bound.enqueue()).refresh()
    assert (job.queue, job.priority, job.max_attempts, job.tenant) == ("other", 1, 9, "acme")
    assert (job.run_at, job.state) == (at, State.SCHEDULED)


async def test_a_past_run_at_runs_now(app: Headrace) -> None:
    @app.task()
    async def plain() -> None: ...

    job = await plain.options(run_at=datetime(1999, 1, 1, tzinfo=UTC)).enqueue()
    assert job.state is State.AVAILABLE
    assert (await job.refresh()).created_at - timedelta(seconds=1) < (await job.refresh()).run_at


async def test_many_jobs_are_inserted_in_order_or_not_at_all(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task()
    async def plain(number: int) -> int:
        return number

    jobs = await app.enqueue_many([plain.job(number) for number in range(2_500)])
    stored = await sql.fetch("SELECT id, payload ->> 'number' AS n FROM headrace.job ORDER BY id")
    assert [(row["id"], int(row["n"])) for row in stored] == [
        (job.id, number) for number, job in enumerate(jobs)
    ]
    with pytest.raises(UsageError, match=r'queue "nowhere" is unknown'):
        await app.enqueue_many([plain.job(1), plain.options(queue="nowhere").job(2)])
    assert await sql.fetchval("SELECT count(*) FROM headrace.job") == 2_500
    assert await app.enqueue_many([]) == []
    with pytest.raises(UsageError, match=r"what task.job\(...\) makes, not tuple"):
        await app.enqueue_many([("plain", 1)])  # type: ignore[arg-type]  # what others take


async def test_a_duplicate_is_a_handle_on_the_first_job(app: Headrace) -> None:
    @app.task()
    async def charge(amount: int) -> int:
        return amount

    once = charge.options(idempotency_key="order-1")
    first, second = await once.enqueue(5), await once.enqueue(6)
    assert (first.duplicate, second.duplicate) == (False, True)
    assert first.id == second.id
    assert second.state is None
    await work(app, "default")
    assert await second.result() == 5


async def test_start_may_be_nested_and_the_last_stop_disconnects(migrated_url: str) -> None:
    app = Headrace("nested", database_url=migrated_url)
    async with app:
        engine = app.engine
        async with app:
            assert app.engine is engine
        assert app.engine is engine
    with pytest.raises(
        UsageError, match=r'application "nested" is not started .*`async with app:`'
    ):
        _ = app.engine


async def test_a_start_that_failed_can_be_repeated(database_url: str) -> None:
    app = Headrace("late", database_url=database_url)
    outcomes = await asyncio.gather(app.start(), app.start(), return_exceptions=True)
    assert ["no schema" in str(one) for one in outcomes] == [True, True]
    from headrace.ledger.migrate import migrate  # noqa: PLC0415 - the schema comes late

    await migrate(database_url)
    async with app:
        assert app.engine.new_id().version == 7


def test_each_event_loop_has_an_engine_of_its_own(database_url: str) -> None:
    from headrace.ledger.migrate import migrate  # noqa: PLC0415

    asyncio.run(migrate(database_url))
    app = Headrace("loops", database_url=database_url)

    async def engine() -> object:
        async with app:
            return app.engine

    assert asyncio.run(engine()) is not asyncio.run(engine())


def in_child(app: Headrace, answers: "multiprocessing.queues.Queue[object]") -> None:
    async def child() -> None:
        async with app:
            handle = await app.tasks["plain"].enqueue()
            answers.put((os.getpid(), handle.id))

    asyncio.run(child())


async def test_a_forked_child_starts_for_itself(app: Headrace) -> None:
    @app.task()
    async def plain() -> None: ...

    context = multiprocessing.get_context("fork")
    answers: multiprocessing.queues.Queue[object] = context.Queue()
    child = context.Process(target=in_child, args=(app, answers))
    child.start()
    answer = await asyncio.to_thread(answers.get, timeout=30)
    child.join(30)
    assert isinstance(answer, tuple)
    assert answer[0] == child.pid != os.getpid()
    assert (await app.get(answer[1])).state is State.AVAILABLE
    assert (await (await plain.enqueue()).refresh()).state is State.AVAILABLE


async def test_lifespans_open_in_order_and_close_in_reverse() -> None:
    app, seen = Headrace("lives"), []

    @app.lifespan
    async def outer() -> AsyncIterator[None]:
        seen.append("outer opens")
        yield
        seen.append("outer closes")

    @app.lifespan
    async def inner() -> AsyncIterator[None]:
        seen.append("inner opens")
        yield
        seen.append("inner closes")

    async with app.living():
        seen.append("work")
    assert seen == ["outer opens", "inner opens", "work", "inner closes", "outer closes"]


async def test_who_waits_when_the_application_stops_is_told(migrated_url: str) -> None:
    app = Headrace("stopping", database_url=migrated_url)

    @app.task()
    async def plain() -> None: ...

    async with app:
        job = await plain.enqueue()
        waiting = asyncio.create_task(job.result())
        await asyncio.sleep(0)
    with pytest.raises(UsageError, match=r"stopped while a result was awaited"):
        await waiting
