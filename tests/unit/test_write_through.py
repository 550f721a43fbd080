from uuid import uuid4

import pytest

from headrace.engines.write_through import WriteThrough
from headrace.lanes.memory import MemoryLane
from headrace.model.job import NewJob
from headrace.model.lane_view import LaneView, Mode

QUEUE = "mail"


class Bench:
    """A write-through into a memory lane at epoch 1, and the view that it goes by."""

    def __init__(self) -> None:
        self.lane = MemoryLane()
        self.view = LaneView(1, Mode.HYBRID)
        self.asked = 0
        self.through = WriteThrough(self.lane, lambda: self.view, self.ask)

    def ask(self) -> None:
        self.asked += 1

    async def put(self) -> int:
        """How many entries the lane has once all puts are through."""
        if self.through._flight is not None:
            await self.through._flight
        depth = await self.lane.depth(self.view.epoch, QUEUE)
        return sum(depth.ready.values())


def job() -> NewJob:
    return NewJob(id=uuid4(), task="send", queue=QUEUE, payload=b"{}")


@pytest.fixture
async def bench() -> Bench:
    bench = Bench()
    await bench.lane.open_epoch(1, grace=0)
    return bench


async def test_a_process_that_does_not_know_the_lanes_clock_puts_flagged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.lane, "stamp", lambda: None)
    bench.through.push([job()], bench.through.stamp())
    assert await bench.put() == 1
    worker = uuid4()
    await bench.lane.beat(1, worker, (), 0)
    (taken,) = (await bench.lane.take(1, worker, QUEUE, 1, 1)).deliveries
    assert taken.flagged


async def test_what_was_committed_under_an_earlier_epoch_is_not_put(bench: Bench) -> None:
    stamp = bench.through.stamp()
    await bench.lane.open_epoch(2, grace=20)
    bench.view = LaneView(2, Mode.HYBRID)
    bench.through.push([job()], stamp)
    assert await bench.put() == 0, "its holder could no longer re-assert it"
    assert bench.asked == 1


async def test_a_process_that_takes_nothing_learns_that_the_lane_is_on(bench: Bench) -> None:
    bench.view = LaneView(1, Mode.DIRECT)
    for _ in range(3):
        bench.through.push([job()], bench.through.stamp())
    assert bench.asked == 1, "and asks once a second at most"
