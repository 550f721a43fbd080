"""The reaper of the ledger on a clock of the test's: what counts as silence."""

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
