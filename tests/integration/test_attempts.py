"""One rule says when a job may start again, and all who decide it agree."""

from datetime import timedelta
from itertools import product
from uuid import UUID

import asyncpg
import pytest

from headrace.ledger.postgres import PostgresLedger
from headrace.model.attempts import spent
from headrace.model.entry import Lease
from headrace.model.job import Delivery
from headrace.model.state import Stored
from headrace.model.verdict import BLOCKED, WORKER_LOST, describe, failed
from headrace.testing.engines.rigs import hybrid_rig
from integration.ledgers import claim, hire, new_job

COUNTS = list(product(range(4), range(4), range(1, 4), [False, True]))
LIVE = [one for one in COUNTS if not spent(*one[:3], rerun_on_crash=one[3])]
HISTORY = (
    "UPDATE headrace.job j SET failures = h.failures, crashes = h.crashes, gen = gen + 1, "
    "xid = pg_current_xact_id() "
    "FROM unnest($1::uuid[], $2::int[], $3::int[]) AS h (id, failures, crashes) WHERE j.id = h.id"
)


@pytest.mark.parametrize(
    ("counts", "over"),
    [
        ((0, 0, 1, False), False),
        ((1, 0, 1, False), True),
        ((0, 1, 1, False), True),
        ((1, 1, 2, False), False),
        ((2, 1, 3, False), False),
        ((3, 0, 3, False), True),
        ((0, 2, 2, False), False),
        ((0, 3, 2, False), True),
        ((0, 3, 9, False), False),
        ((0, 9, 9, False), True),
        ((0, 2, 1, True), False),
        ((0, 3, 1, True), True),
        ((1, 2, 2, True), False),
        ((2, 0, 2, True), True),
    ],
)
def test_failures_are_attempts_and_too_many_crashes_are_too_many(
    counts: tuple[int, int, int, bool], over: bool
) -> None:
    assert spent(*counts[:3], rerun_on_crash=counts[3]) == over


async def test_the_ledger_has_the_same_rule(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    del ledger
    rows = await sql.fetch(
        "SELECT headrace.spent(f, c, m, r) AS over "
        "FROM unnest($1::int[], $2::int[], $3::int[], $4::bool[]) AS v (f, c, m, r)",
        *map(list, zip(*COUNTS, strict=True)),
    )
    assert [row["over"] for row in rows] == [
        spent(*one[:3], rerun_on_crash=one[3]) for one in COUNTS
    ]


async def with_histories(ledger: PostgresLedger, sql: asyncpg.Connection, queue: str) -> list[UUID]:
    """A live job for each pair of counts that leaves one live."""
    jobs = [
        new_job(ledger, queue=queue, max_attempts=most, rerun_on_crash=rerun)
        for _, _, most, rerun in LIVE
    ]
    await ledger.insert(jobs)
    ids = [job.id for job in jobs]
    await sql.execute(HISTORY, ids, [one[0] for one in LIVE], [one[1] for one in LIVE])
    return ids


async def claimed(ledger: PostgresLedger, sql: asyncpg.Connection, worker: UUID) -> list[Delivery]:
    ids = await with_histories(ledger, sql, "q")
    held = {one.id: one for one in await claim(ledger, worker, len(ids))}
    return [held[job_id] for job_id in ids]


async def died(sql: asyncpg.Connection, held: list[Delivery]) -> list[bool]:
    rows = await sql.fetch("SELECT id, state FROM headrace.job")
    states = {row["id"]: row["state"] for row in rows}
    return [states[one.id] == Stored.DEAD for one in held]


AFTER_A_FAILURE = [spent(f + 1, c, most, rerun_on_crash=rerun) for f, c, most, rerun in LIVE]
AFTER_A_CRASH = [spent(f, c + 1, most, rerun_on_crash=rerun) for f, c, most, rerun in LIVE]


async def test_a_worker_agrees_about_failures(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    worker = await hire(ledger)
    held = await claimed(ledger, sql, worker)
    error = describe("E", "e")
    await ledger.settle(worker, [failed(one, error, 0.0, timedelta()) for one in held])
    assert await died(sql, held) == AFTER_A_FAILURE


async def test_the_reaper_agrees_about_crashes(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    worker = await hire(ledger)
    held = await claimed(ledger, sql, worker)
    assert await ledger.judge(worker, 0)
    assert await ledger.reap(500) == len(held)
    assert await died(sql, held) == AFTER_A_CRASH


async def test_who_gives_a_job_up_agrees_about_crashes(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    worker = await hire(ledger)
    held = await claimed(ledger, sql, worker)
    await ledger.forfeit(worker, held, BLOCKED)
    assert await died(sql, held) == AFTER_A_CRASH


async def test_the_reaper_of_the_lane_blames_nobody_whom_a_crash_would_end(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    """Such an attempt is claimed before it starts; one that nobody claimed has not started."""
    worker = await hire(ledger)
    held = await claimed(ledger, sql, worker)
    await sql.execute("UPDATE headrace.job SET owner = NULL")
    epoch = await sql.fetchval("UPDATE headrace.lane SET mode = 'hybrid' RETURNING epoch")
    leases = [Lease(worker, *one.token, one.call) for one in held]
    await ledger.lanes.bump(epoch, leases, WORKER_LOST)
    assert not any(await died(sql, held))
    rows = await sql.fetch("SELECT id, crashes FROM headrace.job")
    crashes = {row["id"]: row["crashes"] for row in rows}
    spared = [crashes[one.id] == one.crashes for one in held]
    assert spared == AFTER_A_CRASH


async def test_what_a_crash_would_end_is_claimed_before_it_starts(
    migrated_url: str, redis_url: str, sql: asyncpg.Connection
) -> None:
    async with hybrid_rig(migrated_url, redis_url) as rig:
        ids = []
        for failures, crashes, most, rerun in LIVE:
            made = await rig.insert(
                max_attempts=most, rerun_on_crash=rerun, delay=timedelta(hours=1)
            )
            ids += made
            await sql.execute(HISTORY, made, [failures], [crashes])
        await sql.execute("UPDATE headrace.job SET run_at = now()")
        taken = {one.id: one for one in await rig.take(len(ids))}
    assert [taken[job_id].owned for job_id in ids] == AFTER_A_CRASH
