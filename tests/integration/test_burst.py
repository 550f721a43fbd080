"""When a burst ends: nothing is due, in hand or on its way, however the answers cross."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from headrace import Context, Headrace, JobHandle, LedgerUnavailable, RetryPolicy, State
from headrace.model.entry import Taken
from headrace.worker.worker import Worker

AT_ONCE = RetryPolicy(steps=(timedelta(0),))


async def test_a_burst_ends_when_nothing_is_due(app: Headrace) -> None:
    seen: list[int] = []

    @app.task(queue="burst")
    async def note(number: int) -> None:
        seen.append(number)
        if number < 3:
            await note.enqueue(number + 10)

    for number in range(5):
        await note.enqueue(number)
    await note.options(delay="1h").enqueue(99)
    await asyncio.wait_for(Worker(app, {"burst": 2}).run(burst=True), 20)
    assert sorted(seen) == [0, 1, 2, 3, 4, 10, 11, 12]


@pytest.mark.parametrize("where", ["on its way", "running"])
async def test_a_job_taken_while_a_burst_asks_what_is_due_belongs_to_it(
    app: Headrace, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Nothing is due then, since it is claimed; but it fails at once, and is due again."""
    there, answered = asyncio.Event(), asyncio.Event()
    asked, job_id = 0, uuid4()

    @app.task(queue="burst", retry=AT_ONCE)
    async def hesitate(ctx: Context) -> int:
        if ctx.attempt == 1:
            there.set()
            await answered.wait()
            raise ZeroDivisionError
        return ctx.attempt

    worker = Worker(app, {"burst": 1})
    due, take = app.engine.due, app.engine.take

    async def take_slowly(*args: Any, **options: Any) -> Taken:
        taken = await take(*args, **options)
        if taken.deliveries and where == "on its way" and not there.is_set():
            there.set()
            await answered.wait()
        return taken

    async def ask(queues: Sequence[str]) -> bool:
        nonlocal asked, job_id
        asked += 1
        if asked > 1:
            return await due(queues)
        job_id = (await hesitate.enqueue()).id
        worker.wake("burst")
        await there.wait()
        answer = await due(queues)
        asyncio.get_running_loop().call_soon(answered.set)
        assert not answer
        return answer

    monkeypatch.setattr(app.engine, "due", ask)
    monkeypatch.setattr(app.engine, "take", take_slowly)
    await asyncio.wait_for(worker.run(burst=True), 20)
    (job,) = await app.engine.get([job_id])
    assert (job.state, job.failures) == (State.COMPLETED, 1)
    assert asked > 1


async def test_a_burst_outlasts_an_outage_of_the_ledger(
    app: Headrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.task(queue="burst")
    async def plain() -> str:
        return "ran"

    due = app.engine.due
    jobs: list[JobHandle[str]] = []

    async def ask(queues: Sequence[str]) -> bool:
        if not jobs:
            jobs.append(await plain.enqueue())
            raise LedgerUnavailable("PostgreSQL is away")
        return await due(queues)

    monkeypatch.setattr(app.engine, "due", ask)
    await asyncio.wait_for(Worker(app, {"burst": 1}).run(burst=True), 20)
    assert await jobs[0].result("1s") == "ran"


async def test_what_came_too_late_to_a_burst_goes_back_and_is_run_by_it(
    app: Headrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first take is forgone, as if the loop were blocked; no beat gives back what it brings."""
    forgone = 0

    @app.task(queue="burst")
    async def plain() -> str:
        return "run"

    worker = Worker(app, {"burst": 1})
    take = app.engine.take

    async def take_late(*args: Any, **options: Any) -> Taken:
        nonlocal forgone
        taken = await take(*args, **options)
        if taken.deliveries and not forgone:
            forgone += 1
            worker._hand.forgo()
        return taken

    monkeypatch.setattr(app.engine, "take", take_late)
    job = await plain.enqueue()
    await asyncio.wait_for(worker.run(burst=True), 4)  # a beat comes after five seconds
    assert forgone == 1
    assert await job.result(timeout="1s") == "run"
    assert (await job.refresh()).state is State.COMPLETED
