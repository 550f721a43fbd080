"""The reaper of the ledger on a clock of the test's: what counts as silence."""

import asyncpg

from headrace.ledger.postgres import PostgresLedger
from headrace.relay.reaper import Reaper
from integration.ledgers import hire

LEASE = 15.0


class Watch:
    """A reaper, and the time that it goes by."""

    def __init__(self, ledger: PostgresLedger) -> None:
        self.ledger = ledger
        self.now = 1000.0
        self.reaper = Reaper(ledger, lease=LEASE, clock=lambda: self.now)

    async def look_after(self, *seconds: float) -> set[object]:
        """Poll after each of these; returns who is not judged then."""
        for some in seconds:
            self.now += some
            await self.reaper.poll()
        return set(await self.ledger.watch())


async def test_who_is_silent_for_a_lease_is_judged(ledger: PostgresLedger) -> None:
    silent, alive = await hire(ledger), await hire(ledger)
    watch = Watch(ledger)
    assert await watch.look_after(0, 4, 4, 4) == {silent, alive}
    await ledger.beat(alive, [], 0)
    assert await watch.look_after(4) == {alive}


async def test_a_gap_in_watching_is_no_silence_and_costs_no_more_than_itself(
    ledger: PostgresLedger,
) -> None:
    silent, alive = await hire(ledger), await hire(ledger)
    watch = Watch(ledger)
    assert await watch.look_after(0, 4, 100, 4, 100, 4, 100) == {silent, alive}
    await ledger.beat(alive, [], 0)
    assert await watch.look_after(2) == {silent, alive}
    assert await watch.look_after(2) == {alive}


async def test_each_worker_is_judged_by_its_own_lease(ledger: PostgresLedger) -> None:
    short, patient = await hire(ledger, 5.0), await hire(ledger, 60.0)
    watch = Watch(ledger)
    assert await watch.look_after(0, 2, 2) == {short, patient}
    assert await watch.look_after(2) == {patient}
    assert await watch.look_after(*[4] * 13) == {patient}  # 58 s
    assert await watch.look_after(4) == set()


async def test_who_watches_long_leases_looks_often_enough_for_a_short_one(
    ledger: PostgresLedger,
) -> None:
    reaper = Reaper(ledger, lease=60.0)
    assert await reaper.poll() == 1.0
    await hire(ledger, 2.0)
    assert await reaper.poll() == 0.4


async def test_who_tells_no_lease_is_judged_by_that_of_its_judge(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    await hire(ledger)
    await sql.execute("UPDATE headrace.worker SET lease = NULL")
    watch = Watch(ledger)
    assert len(await watch.look_after(0, 4, 4, 4)) == 1
    assert not await watch.look_after(4)
