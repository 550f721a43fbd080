"""What a job tells while it runs: its progress and its log lines."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from headrace import Context, Headrace, JobHandle, Retry
from headrace.errors import LedgerUnavailable
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify
from headrace.model.inspection import JobFilter
from headrace.model.job import Delivery
from headrace.model.redaction import Redaction
from headrace.model.told import LINES, Progress, Telling
from headrace.worker.notes import Notes, Teller
from headrace.worker.worker import Worker
from integration.served import MODES, served, until
from jobsmith import Jobsmith

SECONDS = "20s"


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:
        yield app


@asynccontextmanager
async def working(app: Headrace) -> AsyncIterator[None]:
    worker = Worker(app, {"default": 2})
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        yield
        worker.finish()


async def lines_of(job: JobHandle[Any]) -> list[tuple[int, str]]:
    return [(line.attempt, line.text) for line in (await job.refresh()).told.log]


async def test_what_a_job_tells_is_seen_while_it_runs_and_kept(app: Headrace) -> None:
    gate = asyncio.Event()

    @app.task(retry="seed-000")
    async def works(ctx: Context) -> str:
        ctx.log("begins")
        await ctx.progress(0.5, "connecting")
        if ctx.attempt == 1:
            raise Retry("once more", after="0s")
        await gate.wait()
        ctx.log("ends")
        await ctx.progress(1)
        return "done"

    async def half_way() -> bool:
        said = (await job.refresh()).told.progress
        return said is not None and said.attempt == 2

    async with working(app):
        job = await works.enqueue()
        await until(half_way)
        assert await lines_of(job) == [(1, "begins"), (2, "begins")]
        now = job.job
        assert now is not None
        assert isinstance(now.told.progress, Progress)
        assert (now.told.progress.fraction, now.told.progress.message) == (0.5, "connecting")
        assert now.created_at <= now.told.log[0].at <= now.told.progress.at
        gate.set()
        assert await job.result(SECONDS) == "done"
    assert await lines_of(job) == [(1, "begins"), (2, "begins"), (2, "ends")]
    assert job.job is not None
    assert job.job.told.progress is not None
    assert job.job.told.progress.fraction == 1
    # A listing has the progress of each, and no lines; a search looks into them.
    (listed, _) = await app.get_many([job.id, (await works.enqueue()).id])
    assert not listed.told.log
    inspector = app.engine.inspector
    for text, found in (("BEGINS", [job.id]), ("attempt", []), ("nothing", [])):
        assert [*(await inspector.find(JobFilter(log=text), limit=9)).ids] == found


async def test_a_thread_tells_and_its_transaction_commits(app: Headrace) -> None:
    @app.task()
    def sync(ctx: Context) -> None:
        ctx.progress(0.25, "a quarter")
        ctx.log("from a thread\x00")

    @app.task()
    async def commits(ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("SELECT 1")
            ctx.log("inside")

    async with working(app):
        for task, text in ((sync, "from a thread\ufffd"), (commits, "inside")):
            job = await task.enqueue()
            await job.result(SECONDS)
            assert await lines_of(job) == [(1, text)]


async def test_the_newest_lines_are_kept_and_those_that_are_not_counted(app: Headrace) -> None:
    @app.task(retry="seed-000")
    async def chatters(ctx: Context) -> None:
        for number in range(LINES + 50):
            ctx.log(number)
        if ctx.attempt == 1:
            raise Retry(after="0s")
        ctx.log("x" * 5_000)

    async with working(app):
        job = await chatters.enqueue()
        await job.result(SECONDS)
    told = (await job.refresh()).told
    assert len(told.log) == LINES
    assert told.dropped == 2 * (LINES + 50) + 1 - LINES
    assert [line.text for line in told.log[:-1]] == [str(n) for n in range(51, LINES + 50)]
    assert len(told.log[-1].text) < 1_100
    assert "[...]" in told.log[-1].text


async def test_a_stale_attempt_tells_nothing(smith: Jobsmith, sql: asyncpg.Connection) -> None:
    ledger = smith.ledger
    await ledger.tell([Telling(uuid4(), 1, '{"attempt": 1, "log": [], "dropped": 0}', 0)])
    (row,) = await smith.insert()
    more = '{"attempt": 1, "dropped": 0, "log": [[0, "late"]], "progress": null}'
    await ledger.tell([Telling(row, 7, more, 1)])
    assert await sql.fetchval("SELECT told FROM headrace.job WHERE id = $1", row) is None
    await ledger.tell([Telling(row, 1, more, 1)])
    assert await sql.fetchval("SELECT told -> 'log' -> 0 ->> 'text' FROM headrace.job") == "late"


async def test_verify_finds_what_no_run_can_have_told(
    smith: Jobsmith, queries: Queries, sql: asyncpg.Connection
) -> None:
    await smith.insert()
    await sql.execute(
        "UPDATE headrace.job SET told = "
        """'{"progress": {"attempt": 3, "fraction": 0, "message": ""}, "log": [], "dropped": 0}'"""
    )
    verdicts = {one.check.name: one for one in await verify(queries, quiesced=False, repair=False)}
    assert "attempt 3 after 0 that ended" in verdicts["told"].breaches[0].detail


def delivery() -> Delivery:
    return Delivery(
        id=uuid4(),
        gen=1,
        queue="q",
        task="t",
        payload=b"{}",
        priority=5,
        failures=0,
        crashes=0,
        max_attempts=3,
    )


async def test_what_threads_tell_at_once_is_written_once_in_few_batches() -> None:
    written: list[Telling] = []
    batches: list[int] = []

    async def write(tellings: Any) -> None:
        batches.append(len(tellings))
        await asyncio.sleep(0)
        written.extend(tellings)

    teller = Teller(write, Redaction())
    all_notes = [Notes(delivery(), teller) for _ in range(600)]

    def tell() -> None:
        for notes in all_notes:
            notes.log("a line")
            notes.progress(0.5, "")

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    await asyncio.gather(*(teller.finish(notes) for notes in all_notes))
    teller.close()
    assert sum(one.lines for one in written) == 4 * 600
    assert len({one.id for one in written}) == 600
    assert max(batches) <= 500


async def test_a_ledger_that_is_away_costs_lines_and_no_job(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = True
    written: list[Telling] = []

    async def write(tellings: Any) -> None:
        if away:
            raise LedgerUnavailable("it is away")
        written.extend(tellings)

    teller = Teller(write, Redaction())
    notes = Notes(delivery(), teller)
    notes.log("lost")
    await teller.finish(notes)
    assert "could not be written: it is away" in caplog.text
    away = False
    notes.log("kept")
    await teller.finish(notes)
    (telling,) = written
    assert '"dropped":1' in telling.more
    assert "kept" in telling.more
    teller.close()
