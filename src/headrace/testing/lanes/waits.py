"""Nobody waits while there is something to take, and nothing wakes the wrong one."""

import asyncio

import pytest

from headrace.errors import WrongEpoch
from headrace.testing.lanes.rig import EPOCH, QUEUE, Rig, entry

SOON, NEVER = 0.05, 20.0


class Waits:
    """Tests of wait and nudge."""

    @pytest.fixture(autouse=True)
    def needs_blocking(self, rig: Rig) -> None:
        if not rig.lane.capabilities.blocking:
            pytest.skip("the lane declares that its takes do not block")

    async def test_a_put_wakes_one_that_waits(self, rig: Rig) -> None:
        assert await rig.take() == []
        waiting = asyncio.create_task(rig.lane.wait(rig.ann, ["other", QUEUE], NEVER))
        await rig.put(entry())
        assert await waiting == QUEUE
        assert len(await rig.take()) == 1

    async def test_a_put_before_the_wait_is_not_missed(self, rig: Rig) -> None:
        assert await rig.take() == []
        await rig.put(entry())
        assert await rig.lane.wait(rig.ann, [QUEUE], NEVER) == QUEUE

    async def test_a_queue_is_ripe_while_it_has_something_to_give_out(self, rig: Rig) -> None:
        queues = [QUEUE, "late", "paused", "empty"]
        await rig.put(entry(), entry(queue="paused"), entry(queue="late", delay=30))
        await rig.lane.pause(EPOCH, "paused")
        assert await rig.lane.ripe(EPOCH, queues) == {QUEUE}
        await rig.take()
        await rig.pass_time(31)
        await rig.lane.resume(EPOCH, "paused")
        assert await rig.lane.ripe(EPOCH, queues) == {"late", "paused"}
        with pytest.raises(WrongEpoch):
            await rig.lane.ripe(EPOCH + 1, queues)

    async def test_a_wait_ends_by_itself(self, rig: Rig) -> None:
        assert await rig.lane.wait(rig.ann, [QUEUE], SOON) is None

    async def test_who_leaves_something_wakes_the_next(self, rig: Rig) -> None:
        waits = [
            asyncio.create_task(rig.lane.wait(worker, [QUEUE], NEVER))
            for worker in (rig.ann, rig.bob)
        ]
        await rig.put(*(entry() for _ in range(4)))
        done, (second,) = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1
        await rig.take(2)
        assert await second == QUEUE

    async def test_who_takes_all_leaves_nothing_to_wake_for(self, rig: Rig) -> None:
        await rig.put(entry())
        await rig.take()
        assert await rig.lane.wait(rig.ann, [QUEUE], SOON) is None

    async def test_another_queues_entry_wakes_nobody(self, rig: Rig) -> None:
        await rig.put(entry(queue="other"))
        assert await rig.lane.wait(rig.ann, [QUEUE], SOON) is None
        assert await rig.lane.wait(rig.bob, ["other"], NEVER) == "other"

    async def test_the_next_to_be_due_wakes_one(self, rig: Rig) -> None:
        await rig.put(entry(delay=50))
        assert await rig.lane.wait(rig.ann, [QUEUE], NEVER) == QUEUE
        await rig.take()
        await rig.put(entry(delay=60))
        assert await rig.lane.wait(rig.ann, [QUEUE], SOON) is None
        await rig.put(entry(delay=40))
        assert await rig.lane.wait(rig.ann, [QUEUE], NEVER) == QUEUE

    async def test_a_release_wakes_one(self, rig: Rig) -> None:
        await rig.put(entry())
        held = await rig.take()
        waiting = asyncio.create_task(rig.lane.wait(rig.bob, [QUEUE], NEVER))
        await rig.lane.release(EPOCH, rig.ann, held)
        assert await waiting == QUEUE

    async def test_a_paused_queue_wakes_nobody_until_it_is_resumed(self, rig: Rig) -> None:
        await rig.lane.pause(EPOCH, QUEUE)
        await rig.put(entry())
        assert await rig.lane.wait(rig.ann, [QUEUE], SOON) is None
        await rig.lane.resume(EPOCH, QUEUE)
        assert await rig.lane.wait(rig.ann, [QUEUE], NEVER) == QUEUE

    async def test_a_nudge_ends_ones_own_wait(self, rig: Rig) -> None:
        waiting = asyncio.create_task(rig.lane.wait(rig.ann, [QUEUE], NEVER))
        await rig.lane.nudge(rig.ann)
        assert await waiting is None
        await rig.lane.nudge(rig.ann)
        assert await rig.lane.wait(rig.bob, [QUEUE], SOON) is None
        assert await rig.lane.wait(rig.ann, [QUEUE], NEVER) is None
