"""What a worker takes ahead of its slots: some while they are fast, none once they are slow."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from headrace import Context, Headrace, State
from headrace.errors import LedgerUnavailable
from headrace.ledger.postgres import PostgresLedger
from headrace.model.entry import Lease, Taken
from headrace.model.lane_view import Mode
from headrace.model.verdict import WORKER_LOST
from headrace.worker.worker import Worker
from integration.ledgers import new_job
from integration.served import MODES, served, until
from steady_pace import SteadyPace

QUEUE = "fast"


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:
        yield app


async def test_two_fast_slots_need_few_takes(
    app: Headrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: Counter[int] = Counter()
    sizes: list[int] = []

    @app.task(queue=QUEUE)
    async def count(number: int) -> None:
        runs[number] += 1

    take = app.engine.take

    async def counted(*args: object, **options: bool) -> Taken:
        taken = await take(*args, **options)  # type: ignore[arg-type] # passed on as they come
        sizes.append(len(taken.deliveries))
        return taken

    monkeypatch.setattr(app.engine, "take", counted)
    await app.enqueue_many([count.job(number) for number in range(3_000)])
    await Worker(app, {QUEUE: 2}).run(burst=True)
    assert runs == dict.fromkeys(range(3_000), 1)
    assert max(sizes) > 20
    assert len(sizes) < 750  # half of the takes that filling two slots would need


async def test_slots_that_become_slow_give_back_what_waits_for_them(app: Headrace) -> None:
    go = asyncio.Event()

    @app.task(queue=QUEUE)
    async def work(ctx: Context, *, slow: bool) -> int:
        if slow:
            await go.wait()
        return ctx.attempt

    quick = await app.enqueue_many([work.job(slow=False) for _ in range(600)])
    slow = await app.enqueue_many([work.job(slow=True) for _ in range(2)])
    later = await app.enqueue_many([work.job(slow=False) for _ in range(300)])
    first, second = Worker(app, {QUEUE: 2}), Worker(app, {QUEUE: 2})
    await first.start()
    for job in slow:
        await until(lambda job=job: is_in(app, job.id, State.RUNNING))  # type: ignore[misc]
    await second.start()
    try:
        for job in [*quick, *later]:
            assert await job.result(timeout="20s") == 1
        assert [(await job.refresh()).state for job in slow] == [State.RUNNING] * 2
    finally:
        go.set()
        await asyncio.gather(first.stop(), second.stop())


async def test_what_could_not_be_charged_never_starts(
    app: Headrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply is lost, so nobody knows whether a death would cost an attempt."""
    refused: list[int] = []
    attempts: list[tuple[int, int]] = []
    charge = app.engine.charge

    async def cut(worker: object, queue: str, call: int) -> None:
        await charge(worker, queue, call)  # type: ignore[arg-type] # passed on as it comes
        if not refused:
            refused.append(call)
            raise LedgerUnavailable("the connection was cut")

    @app.task(queue=QUEUE, max_attempts=1)
    async def work(ctx: Context, number: int) -> None:
        attempts.append((number, ctx.attempt))

    monkeypatch.setattr(app.engine, "charge", cut)
    jobs = await app.enqueue_many([work.job(number) for number in range(10)])
    worker = Worker(app, {QUEUE: 1}, pace=lambda: SteadyPace(3))
    await worker.start()
    try:
        for job in jobs:
            await job.result(timeout="20s")
    finally:
        await worker.stop()
    assert refused
    assert sorted(attempts) == [(number, 1) for number in range(10)]


async def test_a_last_attempt_that_nobody_claimed_has_not_started(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    """A worker died between its take from the lane and its claim in the ledger (A5)."""
    jobs = [new_job(ledger, max_attempts=attempts) for attempts in (1, 2)]
    await ledger.insert(jobs)
    lanes = ledger.lanes
    begun = await lanes.switch((await lanes.view()).epoch, Mode.REBUILD, held=False)
    assert begun is not None
    await lanes.fence(begun.epoch, Mode.HYBRID)
    leases = [Lease(uuid4(), job.id, 1, 1) for job in jobs]
    await lanes.bump(begun.epoch, leases, WORKER_LOST)
    rows = await sql.fetch("SELECT state, gen, crashes FROM headrace.job ORDER BY max_attempts")
    assert [tuple(row) for row in rows] == [(0, 2, 0), (0, 2, 1)]


async def is_in(app: Headrace, job_id: object, state: State) -> bool:
    (job,) = await app.engine.get([job_id])  # type: ignore[list-item] # an id as handles have it
    return job.state is state
