"""Levels share the takes by weight, and none starves."""

import pytest

from headrace.model.priority import WEIGHTS
from headrace.testing.lanes.rig import EPOCH, Rig, entry


class Shares:
    """Tests of priorities."""

    async def test_one_level_alone_gets_all(self, rig: Rig) -> None:
        _needs_priorities(rig)
        await rig.put(*(entry(priority=10) for _ in range(7)))
        assert len(await rig.take(7)) == 7

    async def test_every_level_gets_its_share_of_any_100_takes(self, rig: Rig) -> None:
        _needs_priorities(rig)
        levels = (1, 3, 5, 7, 10)
        for level in levels:
            await rig.put(*(entry(priority=level) for _ in range(20)))
        served: list[int] = []
        for size in (1, 1, 1, 2, 3, 5, 7, 10) * 10:
            got = await rig.take(size)
            await rig.lane.ack(EPOCH, rig.ann, got)
            await rig.put(*(entry(priority=one.priority) for one in got))
            served += [one.priority for one in got]
        total = sum(WEIGHTS[level] for level in levels)
        for first in range(0, len(served) - 100, 10):
            window = served[first : first + 100]
            for level in levels:
                share = 100 * WEIGHTS[level] / total
                assert window.count(level) >= int(share) - 1, (first, level)

    async def test_a_level_that_slept_saves_up_nothing(self, rig: Rig) -> None:
        _needs_priorities(rig)
        for _ in range(10):
            await rig.put(*(entry(priority=5) for _ in range(20)))
            await rig.take(20)
        await rig.put(*(entry(priority=level) for level in (5, 10) for _ in range(30)))
        got = [one.priority for one in await rig.take(20)]
        assert got.count(10) <= 5
        assert got.count(5) >= 15


def _needs_priorities(rig: Rig) -> None:
    if not rig.lane.capabilities.priorities:
        pytest.skip("the lane declares that it has no priorities")
