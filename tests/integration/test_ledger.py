"""The statements of the ledger, each once and then again as if its reply had been lost."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest

from headrace import State, UsageError
from headrace.errors import LedgerError
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.statements import names, statement
from headrace.model.job import Inserted, NewJob
from headrace.model.priority import STRIDES, WEIGHTS, Shares
from headrace.model.state import Stored
from headrace.model.task import Declaration
from integration.ledgers import add, claim, hire, new_job, settlement, stored


async def test_every_statement_is_one_that_postgresql_accepts(sql: asyncpg.Connection) -> None:
    assert len(names()) > 20
    for name in names():
        await sql.prepare(statement(name))


async def test_an_insert_can_be_repeated(ledger: PostgresLedger, sql: asyncpg.Connection) -> None:
    jobs = await add(ledger, 3)
    assert await ledger.insert(jobs) == [Inserted(job.id) for job in jobs]
    more = [*jobs, new_job(ledger)]
    assert await ledger.insert(more) == [Inserted(job.id) for job in more]
    assert await stored(sql) == 4
    counted = await sql.fetchval("SELECT sum(n) FROM headrace.counter_delta")
    assert counted == 4


async def test_two_may_declare_a_queue_at_once(
    ledger: PostgresLedger, sql: asyncpg.Connection, migrated_url: str
) -> None:
    other = await asyncpg.connect(migrated_url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("INSERT INTO headrace.queue (name) VALUES ('new')")
    task = Declaration(name="work", queue="new", priority=5, max_attempts=3)
    declaring = asyncio.create_task(ledger.declare([task], []))
    while not await sql.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
        assert not declaring.done()
    await transaction.commit()
    await other.close()
    await declaring
    assert await sql.fetchval("SELECT count(*) FROM headrace.task") == 1


async def test_an_id_off_the_clock_is_refused_and_so_are_its_companions(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    with pytest.raises(UsageError, match=r"is over one hour off the clock of PostgreSQL; let head"):
        await ledger.insert([new_job(ledger), new_job(ledger, id=uuid4())])
    assert await stored(sql) == 0


async def test_ids_rise_in_the_order_in_which_they_are_made(ledger: PostgresLedger) -> None:
    ids = [ledger.new_id() for _ in range(20_000)]
    assert ids == sorted(set(ids))
    assert {(one.version, one.variant) for one in ids} == {(7, "specified in RFC 4122")}


async def test_jobs_are_claimed_in_order_each_once_and_counted_as_started(
    ledger: PostgresLedger,
) -> None:
    jobs = await add(ledger, 5)
    one, other = await hire(ledger), await hire(ledger)
    taken = [*await claim(ledger, one, 3), *await claim(ledger, other, 9)]
    assert [delivery.id for delivery in taken] == [job.id for job in jobs]
    assert {(delivery.gen, delivery.attempt, delivery.call) for delivery in taken} == {(2, 1, 1)}
    assert await claim(ledger, one) == []
    (job,) = await ledger.get([taken[0].id])
    assert (job.state, job.attempt) == (State.RUNNING, 1)
    assert job.started_at is not None


async def test_jobs_ahead_of_their_time_and_of_a_paused_queue_are_left(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    from datetime import timedelta  # noqa: PLC0415

    await add(ledger, delay=timedelta(hours=1))
    worker = await hire(ledger)
    assert await claim(ledger, worker) == []
    await add(ledger)
    await sql.execute("UPDATE headrace.queue SET paused = true")
    assert await claim(ledger, worker) == []
    await sql.execute("UPDATE headrace.queue SET paused = false")
    assert len(await claim(ledger, worker, 9)) == 1


async def test_a_completion_is_accepted_once_and_recognised_when_repeated(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    await add(ledger)
    worker = await hire(ledger)
    (delivery,) = await claim(ledger, worker)
    done = settlement(delivery, ran=1.5, result='{"a":1}')
    assert await ledger.settle(worker, [done]) == {delivery.token}
    assert await ledger.settle(worker, [done]) == {delivery.token}
    assert await ledger.settle(uuid4(), [done]) == set()
    (job,) = await ledger.outcomes([delivery.id])
    assert (job.state, job.attempt) == (State.COMPLETED, 1)
    assert bytes(job.result or b"") == b'{"a": 1}'
    totals = await sql.fetch(
        "SELECT state, sum(n) AS n FROM headrace.counter_delta GROUP BY state ORDER BY state"
    )
    assert [(row["state"], row["n"]) for row in totals] == [(0, 0), (2, 1)]


async def test_a_retry_makes_a_new_generation_and_its_repetition_changes_nothing(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    await add(ledger)
    worker = await hire(ledger)
    (first,) = await claim(ledger, worker)
    again = settlement(first, Stored.LIVE, failed=True, error='{"type":"E"}')
    assert await ledger.settle(worker, [again]) == {first.token}
    assert await ledger.settle(worker, [again]) == {first.token}
    (second,) = await claim(ledger, worker, call=2)
    assert (second.gen, second.attempt, second.failures) == (first.gen + 2, 2, 1)
    assert await ledger.settle(worker, [settlement(second)]) == {second.token}
    kinds = await sql.fetch("SELECT kind FROM headrace.job_event")
    assert [row["kind"] for row in kinds] == ["retry"]


async def test_every_outcome_is_stored_with_its_counters(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    await add(ledger, 4)
    worker = await hire(ledger)
    dead, cancelled, snoozed, retried = await claim(ledger, worker, 4)
    batch = [
        settlement(dead, Stored.DEAD, failed=True, error='{"type":"E","message":"m"}'),
        settlement(cancelled, Stored.CANCELLED),
        settlement(snoozed, Stored.LIVE, snoozed=True, delay=60.0),
        settlement(retried, Stored.LIVE, failed=True, delay=60.0),
    ]
    assert await ledger.settle(worker, batch) == {(one.id, one.gen) for one in batch}
    jobs = {job.id: job for job in await ledger.get([one.id for one in batch])}
    assert [jobs[one.id].state for one in batch] == [
        State.DEAD, State.CANCELLED, State.SCHEDULED, State.RETRYABLE,
    ]  # fmt: skip
    assert jobs[dead.id].error == {"type": "E", "message": "m"}
    assert (jobs[snoozed.id].snoozes, jobs[snoozed.id].failures) == (1, 0)
    kinds = await sql.fetch("SELECT kind FROM headrace.job_event ORDER BY kind")
    assert [row["kind"] for row in kinds] == ["cancelled", "dead", "retry", "snooze"]


async def test_one_stale_attempt_in_a_batch_is_refused_alone(ledger: PostgresLedger) -> None:
    await add(ledger, 2)
    worker, other = await hire(ledger), await hire(ledger)
    stale, good = await claim(ledger, worker, 2)
    await ledger.release(worker, [stale])
    await claim(ledger, other)
    assert await ledger.settle(worker, [settlement(stale), settlement(good)]) == {good.token}
    assert await ledger.extend([stale, good]) == set()


async def test_a_released_job_has_used_no_attempt_and_a_repetition_changes_nothing(
    ledger: PostgresLedger,
) -> None:
    await add(ledger)
    worker, other = await hire(ledger), await hire(ledger)
    (delivery,) = await claim(ledger, worker)
    assert await ledger.extend([delivery]) == {delivery.id}
    await ledger.release(other, [delivery])  # not the owner
    assert await claim(ledger, other) == []
    await ledger.release(worker, [delivery])
    (again,) = await claim(ledger, other)
    await ledger.release(worker, [delivery])
    assert (again.gen, again.attempt) == (delivery.gen + 2, 1)
    assert await ledger.extend([delivery, again]) == {again.id}


async def test_a_beat_gives_back_what_a_lost_reply_claimed(ledger: PostgresLedger) -> None:
    await add(ledger, 2)
    worker = await hire(ledger)
    (known,) = await claim(ledger, worker, call=1)
    (unknown,) = await claim(ledger, worker, call=2)
    beat = await ledger.beat(worker, [known], 1)  # the reply to call 2 may be under way
    assert (beat.alive, beat.lost) == (True, frozenset())
    assert await claim(ledger, worker, call=3) == []
    beat = await ledger.beat(worker, [known], 2)
    assert (beat.alive, beat.lost) == (True, frozenset())
    (back,) = await claim(ledger, worker, call=4)
    assert (back.id, back.gen) == (unknown.id, unknown.gen + 2)
    beat = await ledger.beat(worker, [known, unknown, back], 4)
    assert beat.lost == frozenset({unknown.token})


async def test_a_silent_worker_is_voided_for_ever_and_its_jobs_reaped(
    ledger: PostgresLedger,
) -> None:
    await add(ledger, 2)
    worker, other = await hire(ledger), await hire(ledger)
    held = await claim(ledger, worker, 2)
    beats = (await ledger.watch())[worker].beats
    await ledger.beat(worker, held, 1)
    assert await ledger.judge(worker, beats) is False, "it beat meanwhile"
    assert await ledger.judge(worker, beats + 1) is True
    assert await ledger.judge(worker, beats + 1) is False
    assert worker not in await ledger.watch()
    assert (await ledger.beat(worker, held, 1)).alive is False
    assert await ledger.reap(10) == 2
    assert await ledger.reap(10) == 0
    assert await ledger.settle(worker, [settlement(one) for one in held]) == set()
    again = await claim(ledger, other, 2)
    assert {(one.attempt, one.crashes) for one in again} == {(2, 1)}


async def test_a_job_reaped_at_its_last_attempt_is_dead(ledger: PostgresLedger) -> None:
    once, rerun = await add(ledger, max_attempts=1), await add(
        ledger, max_attempts=1, rerun_on_crash=True
    )  # fmt: skip
    worker = await hire(ledger)
    await claim(ledger, worker, 2)
    assert await ledger.judge(worker, 0)
    assert await ledger.reap(10) == 2
    states = {job.id: job.state for job in await ledger.get([once[0].id, rerun[0].id])}
    assert states == {once[0].id: State.DEAD, rerun[0].id: State.AVAILABLE}
    (dead,) = await ledger.outcomes([once[0].id, rerun[0].id])
    assert dead.error == {"type": "WorkerLost", "message": "the worker died during the attempt"}


async def test_every_level_gets_its_share_of_any_hundred_takes(ledger: PostgresLedger) -> None:
    levels = [1, 3, 5, 7, 10]
    for level in levels:
        await add(ledger, 120, priority=level)
    worker, shares, taken = await hire(ledger), Shares(), list[int]()
    for call in range(1, 31):
        n = (1, 7, 20)[call % 3]
        got = await ledger.claim(worker, "q", call, n, (shares.passes(), STRIDES))
        assert len(got) == n
        taken += [delivery.priority for delivery in got]
        shares.took(delivery.priority for delivery in got)
    total = sum(WEIGHTS[level] for level in levels)
    windows = [taken[start : start + 100] for start in range(len(taken) - 100)]
    assert windows
    for window in windows:
        if all(taken.count(level) < 120 for level in levels):
            for level in levels:
                assert window.count(level) >= int(100 * WEIGHTS[level] / total)


async def test_a_declaration_is_kept_and_can_be_changed(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    task = Declaration(name="mail", queue="emails", priority=3, max_attempts=5)
    await ledger.declare([task], [])
    await ledger.declare([task], ["emails"])
    changed = Declaration(name="mail", queue="q", priority=7, max_attempts=1, rerun_on_crash=True)
    await ledger.declare([changed], [])
    row = await sql.fetchrow(
        "SELECT * FROM headrace.task t JOIN headrace.queue q ON q.id = queue_id"
    )
    assert row is not None
    assert (row["name"], row["priority"], row["max_attempts"], row["rerun_on_crash"]) == (
        "q", 7, 1, True,
    )  # fmt: skip


async def test_a_transaction_commits_with_its_completion_or_not_at_all(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    await sql.execute("CREATE TABLE effect (id uuid)")
    await add(ledger, 2)
    worker = await hire(ledger)
    good, stale = await claim(ledger, worker, 2)
    async with ledger.transaction(None) as transaction:
        await transaction.handle.execute("INSERT INTO effect VALUES ($1)", good.id)
        assert await transaction.commit(worker, settlement(good)) is True
    await ledger.release(worker, [stale])
    async with ledger.transaction(None) as transaction:
        await transaction.handle.execute("INSERT INTO effect VALUES ($1)", stale.id)
        assert await transaction.commit(worker, settlement(stale)) is False
    async with ledger.transaction(None) as transaction:
        await transaction.handle.execute("INSERT INTO effect VALUES ($1)", stale.id)
    assert [row["id"] for row in await sql.fetch("SELECT id FROM effect")] == [good.id]


async def test_a_refused_statement_is_told_and_changes_nothing(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    bad: NewJob = new_job(ledger, payload=b'{"a":"\\u0000"}')
    with pytest.raises(LedgerError, match=r"PostgreSQL refused a statement \(22P05\)"):
        await ledger.insert([new_job(ledger), bad])
    assert await stored(sql) == 0
