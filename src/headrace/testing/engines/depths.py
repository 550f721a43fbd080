"""A queue that may hold so many jobs takes no more of them, and keeps what it has."""

from collections.abc import Sequence

import pytest

from headrace.errors import QueueFull
from headrace.model.job import NewJob
from headrace.model.links import Links
from headrace.testing.engines.rig import OTHER, QUEUE, Rig, failure

_ACTOR = "tests:operator"


class Depths:
    """Tests of how many jobs a queue holds."""

    async def test_a_full_queue_takes_no_more_until_some_are_over(self, rig: Rig) -> None:
        await rig.engine.limiter.bound({QUEUE: 3})
        await rig.insert(2)
        said = rf'queue "{QUEUE}" holds 2 jobs of 3 at most, so it takes no 2 more; '
        await _refused(rig, [rig.job(), rig.job()], said)
        await rig.insert()
        await rig.insert(queue=OTHER)
        held = await rig.take(1)
        await _refused(rig, [rig.job()])
        await rig.complete(held)
        await rig.insert()

    async def test_all_of_a_call_are_refused_or_none(self, rig: Rig) -> None:
        await rig.engine.limiter.bound({QUEUE: 1})
        jobs = [rig.job(queue=OTHER), rig.job(), rig.job()]
        await _refused(rig, jobs)
        assert await rig.engine.get([one.id for one in jobs]) == []

    async def test_what_waits_for_others_counts(self, rig: Rig) -> None:
        rig.needs_a_database()
        await rig.engine.limiter.bound({QUEUE: 2})
        line = [rig.job(links=Links(order_key="k")) for _ in range(3)]
        await _refused(rig, line)
        await rig.engine.insert(line[:2])
        await _refused(rig, [rig.job()])

    async def test_what_was_taken_in_is_not_refused(self, rig: Rig) -> None:
        """Neither a call that is repeated since its reply was lost, nor a retry or a replay."""
        await rig.engine.limiter.bound({QUEUE: 1})
        job = rig.job(max_attempts=1)
        await rig.engine.insert([job])
        await rig.engine.insert([job])
        (held,) = await rig.take()
        await rig.settle(failure(held))
        await rig.insert()
        await rig.around.inspector.replay([job.id], _ACTOR)
        assert len(await rig.take()) == 2
        await _refused(rig, [rig.job()])

    async def test_what_an_operator_says_wins(self, rig: Rig) -> None:
        inspector = rig.around.inspector
        await rig.engine.limiter.bound({QUEUE: 1})
        assert await inspector.max_depth(QUEUE, 2)
        assert not await inspector.max_depth(QUEUE, 2)
        await rig.engine.limiter.bound({QUEUE: 1})
        assert (await inspector.queue(QUEUE)).max_depth == 2
        await rig.insert(2)
        await _refused(rig, [rig.job()])
        assert await inspector.max_depth(QUEUE, None)
        await rig.insert(2)


async def _refused(rig: Rig, jobs: Sequence[NewJob], said: str = "holds") -> None:
    with pytest.raises(QueueFull, match=said):
        await rig.engine.insert(jobs)
