"""Of many services that could do the same, one does it, and the others cost next to nothing."""

from uuid import uuid4

import asyncpg

from headrace.ledger.postgres import PostgresLedger
from headrace.relay.leadership import Leadership
from headrace.relay.reaper import Reaper
from integration.ledgers import hire

LEASE = 15.0


async def test_one_leads_until_it_resigns_or_is_silent(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    first, second = (Leadership(ledger.lanes, "work", 60.0) for _ in range(2))
    assert [await first.held(), await second.held(), await first.held()] == [True, False, True]
    await second.resign()
    assert not await second.held()  # who does not lead gives nothing away
    await first.resign()
    assert await second.held()
    await sql.execute("UPDATE headrace.leader SET until = now() - interval '1 second'")
    assert await first.held()


async def test_who_does_not_lead_writes_nothing(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    assert await ledger.lanes.lead("work", uuid4(), 60.0)
    for _ in range(3):
        assert not await ledger.lanes.lead("work", uuid4(), 60.0)
    # A row that was locked, though not changed, would tell by whom.
    assert await sql.fetchval("SELECT xmax::text FROM headrace.leader WHERE role = 'work'") == "0"


async def test_a_reaper_that_follows_judges_at_once_when_it_must_lead(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    """It has watched all the time: a dead worker's jobs wait for nobody to see it dead anew."""
    now = 1000.0
    first, second = (Reaper(ledger, lease=LEASE, clock=lambda: now) for _ in range(2))
    silent = await hire(ledger)
    await first.poll()
    assert await second.poll() > await first.poll()
    for _ in range(3):
        now += 4
        await second.poll()
    assert set(await ledger.watch()) == {silent}
    await sql.execute("DELETE FROM headrace.leader")  # the first one was killed, its time is over
    now += 4
    await second.poll()
    assert not await ledger.watch()
