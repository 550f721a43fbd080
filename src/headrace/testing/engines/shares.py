"""Levels share the takes by weight, and none starves."""

import pytest

from headrace.model.priority import WEIGHTS
from headrace.testing.engines.rig import Rig


class Shares:
    """Tests of priorities."""

    async def test_one_level_alone_gets_all(self, rig: Rig) -> None:
        _needs_priorities(rig)
        await rig.insert(7, priority=10)
        assert len(await rig.take(7)) == 7

    async def test_the_first_level_comes_first(self, rig: Rig) -> None:
        _needs_priorities(rig)
        for priority in (10, 5, 1):
            await rig.insert(priority=priority)
        assert [(await rig.take(1))[0].priority for _ in range(3)] == [1, 5, 10]

    async def test_every_level_gets_its_share_of_any_100_takes(self, rig: Rig) -> None:
        _needs_priorities(rig)
        levels = (1, 3, 5, 7, 10)
        for level in levels:
            await rig.insert(20, priority=level)
        served: list[int] = []
        for size in (1, 1, 1, 2, 3, 5, 7, 10) * 7:
            got = await rig.take(size)
            assert len(got) == size
            await rig.beat(rig.ann, got)  # on a busy machine this test outlasts a lease
            await rig.complete(got)
            await rig.engine.insert([rig.job(priority=one.priority) for one in got])
            served += [one.priority for one in got]
        total = sum(WEIGHTS[level] for level in levels)
        for first in range(0, len(served) - 100, 10):
            window = served[first : first + 100]
            for level in levels:
                share = 100 * WEIGHTS[level] / total
                assert window.count(level) >= int(share) - 1, (first, level)


def _needs_priorities(rig: Rig) -> None:
    if not rig.around.capabilities.priorities:
        pytest.skip("the engine declares that it has no priorities")
