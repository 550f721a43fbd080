"""What write-through missed comes into the lane: at once, or once its producer had the time."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from headrace.engines.write_through import _entry
from headrace.lanes.memory import MemoryLane
from headrace.ledger.postgres import PostgresLedger
from headrace.model.entry import PutReply
from headrace.model.lane_view import LaneView, Mode
from headrace.model.unique import Unique
from headrace.relay.sweep import Sweep
from headrace.relay.walk import Walk
from integration.ledgers import add, new_job

VIEW = LaneView(1, Mode.HYBRID)
HORIZON = 30.0


@pytest.fixture
async def lane() -> AsyncIterator[MemoryLane]:
    lane = MemoryLane()
    await lane.open_epoch(VIEW.epoch, grace=0)
    yield lane


@pytest.fixture
async def sweep(ledger: PostgresLedger, lane: MemoryLane, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    monkeypatch.setattr("headrace.relay.sweep._PUSH", 0.0)  # a second is over at each round
    walk = Walk(ledger.lanes, lane, horizon=HORIZON)
    sweep = Sweep(ledger.lanes, lane, walk, horizon=HORIZON)
    assert await sweep.round(VIEW) == 0
    return sweep


async def waiting(lane: MemoryLane) -> int:
    return sum((await lane.depth(VIEW.epoch, "q")).ready.values())


async def test_what_nobody_pushes_is_swept_at_once(
    ledger: PostgresLedger, lane: MemoryLane, sweep: Sweep
) -> None:
    await ledger.insert([new_job(ledger) for _ in range(3)])
    assert await sweep.round(VIEW) == await waiting(lane) == 3
    assert await sweep.round(VIEW) == 0


async def test_what_its_producer_pushes_is_looked_after_later_and_once(
    ledger: PostgresLedger, lane: MemoryLane, sweep: Sweep
) -> None:
    await ledger.insert([new_job(ledger) for _ in range(3)], pushed=True)
    assert await sweep.round(VIEW) == 0
    assert await sweep.round(VIEW) == await waiting(lane) == 3
    assert await sweep.round(VIEW) == 0


@pytest.mark.parametrize("pushed", [True, False])
@pytest.mark.parametrize("keyed", [True, False])
async def test_a_put_that_comes_when_all_is_over_is_refused(
    ledger: PostgresLedger, lane: MemoryLane, sweep: Sweep, *, pushed: bool, keyed: bool
) -> None:
    """Whatever the ledger was told of the push: a job with a key is pushed all the same (A9)."""
    job = new_job(ledger, unique=Unique(key="k", for_="24h") if keyed else None)
    await ledger.insert([job], pushed=pushed)
    for _ in range(2):
        await sweep.round(VIEW)
    worker = uuid4()
    await lane.beat(VIEW.epoch, worker, (), 0)
    taken = (await lane.take(VIEW.epoch, worker, "q", 1, 9)).deliveries
    assert [(one.id, one.flagged) for one in taken] == [(job.id, True)]
    await lane.ack(VIEW.epoch, worker, taken)
    late = _entry(job, lane.stamp())
    assert await lane.put(VIEW.epoch, [late]) == [PutReply.REFUSED]


async def test_what_is_over_by_then_does_not_travel(
    ledger: PostgresLedger, sql: asyncpg.Connection, sweep: Sweep
) -> None:
    await ledger.insert([new_job(ledger)], pushed=True)
    assert await sweep.round(VIEW) == 0
    await sql.execute("UPDATE headrace.job SET state = 2")
    assert await sweep.round(VIEW) == await sweep.round(VIEW) == 0


async def test_a_transaction_that_stays_open_for_long_hides_nothing(
    ledger: PostgresLedger, sql: asyncpg.Connection, lane: MemoryLane, sweep: Sweep
) -> None:
    transaction = sql.transaction()
    await transaction.start()
    await ledger.insert_in(sql, [new_job(ledger)])
    await sql.execute("UPDATE headrace.job SET pushed = true")
    for _ in range(3):
        await ledger.insert([new_job(ledger)], pushed=True)
        await sweep.round(VIEW)
    assert await waiting(lane) == 2
    await transaction.commit()
    for _ in range(3):
        await sweep.round(VIEW)
    assert await waiting(lane) == 4


async def test_a_job_of_infinity_has_a_standing(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    """Raw SQL makes such; one that stopped the repair of the lane would stop all of the relay."""
    (job,) = await add(ledger)
    await sql.execute("UPDATE headrace.job SET run_at = 'infinity'")
    standing = await ledger.lanes.standing([job.id], VIEW)
    entry = standing[job.id].entry
    assert entry is not None
    assert entry.delay > timedelta(days=365_000).total_seconds()


async def test_rows_of_another_server_are_left_to_the_walk(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    """A dump keeps transaction ids, which may be those of a future that takes years to come."""
    before = await ledger.lanes.snapshot()
    restored, fresh = await add(ledger), await add(ledger)
    await sql.execute("UPDATE headrace.job SET xid = '999999999' WHERE id = $1", restored[0].id)
    swept = await ledger.lanes.sweep(before, VIEW, HORIZON, 100)
    assert [entry.id for entry in swept.entries] == [fresh[0].id]
