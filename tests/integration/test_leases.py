"""Each worker's own lease counts, whoever looks at it."""

from collections.abc import Sequence

import asyncpg
import pytest

from headrace.lanes.memory import MemoryLane
from headrace.ledger.doctor import examine
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify
from headrace.model.finding import Level
from headrace.relay.relay import Relay
from integration.ledgers import hire

MINUTES = 300.0


class Opened(MemoryLane):
    """A lane that tells how long it was to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.graces: list[float] = []

    async def open_epoch(
        self, epoch: int, *, grace: float = 0.0, paused: Sequence[str] = ()
    ) -> None:
        self.graces.append(grace)
        await super().open_epoch(epoch, grace=grace, paused=paused)


@pytest.mark.parametrize(("others", "grace"), [([], 20.0), ([3.0], 20.0), ([3.0, MINUTES], 400.0)])
async def test_a_lane_built_anew_waits_for_the_longest_lease(
    ledger: PostgresLedger, others: Sequence[float], grace: float
) -> None:
    for lease in others:
        await hire(ledger, lease)
    lane = Opened()
    relay = Relay(ledger.lanes, lane, lease=15.0)
    while not lane.graces:
        await relay.poll()
    assert lane.graces == [grace]


async def test_who_has_left_is_not_waited_for(ledger: PostgresLedger) -> None:
    await ledger.leave(await hire(ledger, MINUTES), [])
    assert await ledger.lanes.longest_lease() == 0.0


async def test_who_is_silent_within_its_lease_is_no_finding(
    ledger: PostgresLedger, sql: asyncpg.Connection, migrated_url: str
) -> None:
    async def found() -> tuple[Level, int]:
        findings = {one.name: one for one in await examine(migrated_url)}
        async with Queries(migrated_url) as queries:
            verdicts = {
                one.check.name: one for one in await verify(queries, quiesced=False, repair=False)
            }
        return findings["workers"].level, len(verdicts["silence"].breaches)

    await hire(ledger, MINUTES)
    await sql.execute("UPDATE headrace.worker SET beat_at = now() - interval '200 seconds'")
    assert await found() == (Level.OK, 0)
    await sql.execute("UPDATE headrace.worker SET lease = 15")
    assert await found() == (Level.WARN, 1)
