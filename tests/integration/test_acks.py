"""What is over leaves the lane with the worker's next take, of whatever queue."""

from uuid import uuid4

from headrace.engines.lane_dispatch import LaneDispatch
from headrace.lanes.memory import MemoryLane
from headrace.ledger.postgres import PostgresLedger
from headrace.model.lane_view import LaneView, Mode
from headrace.testing.lanes.rig import EPOCH, entry


async def test_a_take_of_another_queue_carries_the_acks(ledger: PostgresLedger) -> None:
    lane, worker = MemoryLane(), uuid4()
    await lane.open_epoch(EPOCH, grace=0)
    await lane.beat(EPOCH, worker, (), 0)
    jobs = [entry(queue="quiet"), entry(queue="quiet")]
    await lane.put(EPOCH, jobs)
    taken = await lane.take(EPOCH, worker, "quiet", 1, 2)
    dispatch = LaneDispatch(ledger.lanes, lane)
    dispatch.acknowledge(worker, taken.deliveries)
    await dispatch.take(LaneView(EPOCH, Mode.HYBRID), worker, "busy", 2, 1, ahead=False)
    assert not await lane.leased(EPOCH, [one.id for one in jobs])
    beat = await lane.beat(EPOCH, worker, (), 2)
    assert beat.alive
    assert not await lane.ripe(EPOCH, ["quiet"])  # the beat gave nothing back
