"""A lane that was voted out comes back once it stays."""

import pytest

from headrace.errors import LaneUnavailable
from headrace.lanes.memory import MemoryLane
from headrace.relay.steadiness import Steadiness


class Flapping(MemoryLane):
    """A lane that is away at will."""

    there = True

    async def probe(self) -> None:
        if not self.there:
            raise LaneUnavailable("away")


class Watched:
    """A lane, who watches it, and the time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lane = Flapping()
        self.steadiness = Steadiness(15.0, clock=lambda: self.now)

    async def seconds_until_shown(self, epoch: int) -> float:
        began = self.now
        while not await self.steadiness.shown(self.lane, epoch):
            self.now += 1.0
        return self.now - began


async def test_it_must_be_there_for_ten_seconds_without_a_gap() -> None:
    watched = Watched()
    for _ in range(5):
        assert not await watched.steadiness.shown(watched.lane, 3)
        watched.now += 1.0
    watched.lane.there = False
    with pytest.raises(LaneUnavailable):  # who cannot reach it lets another relay watch it
        await watched.steadiness.shown(watched.lane, 3)
    watched.lane.there = True
    watched.now += 1.0
    assert await watched.seconds_until_shown(3) == 10.0


async def test_one_that_comes_and_goes_has_to_stay_longer_and_longer() -> None:
    watched = Watched()
    waits = []
    for epoch in range(3, 17, 2):
        waits.append(await watched.seconds_until_shown(epoch))
        watched.now += 5.0  # used again, and soon voted out
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, 160.0, 160.0]
    watched.now += 1000.0
    assert await watched.seconds_until_shown(99) == 10.0
