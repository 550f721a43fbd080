"""Depth, and that several workers and producers at once keep the books right."""

import asyncio
from uuid import UUID, uuid4

from headrace.model.entry import PutReply
from headrace.testing.lanes.rig import EPOCH, QUEUE, Rig, entry


class Upkeep:
    """Tests of depth, soundness and concurrency."""

    async def test_depth_counts_ready_by_level_and_delayed(self, rig: Rig) -> None:
        await rig.put(entry(), entry(), entry(priority=1), entry(delay=9), entry(queue="b"))
        depth = await rig.lane.depth(EPOCH, QUEUE)
        assert {level: n for level, n in depth.ready.items() if n} == {1: 1, 5: 2}
        assert depth.delayed == 1
        await rig.take()
        assert sum((await rig.lane.depth(EPOCH, QUEUE)).ready.values()) == 0

    async def test_a_working_lane_is_sound(self, rig: Rig) -> None:
        await rig.put(*(entry(priority=level, delay=level % 2) for level in range(1, 11)))
        held = await rig.take(3)
        await rig.lane.ack(EPOCH, rig.ann, held[:1])
        assert await rig.lane.sound(EPOCH)

    async def test_many_at_once_run_every_entry_once(self, rig: Rig) -> None:
        jobs = 300
        entries = [entry(priority=1 + i % 10) for i in range(jobs)]
        seen: list[UUID] = []
        done = asyncio.Event()

        async def produce() -> None:
            while entries:
                assert await rig.put(entries.pop()) == [PutReply.STORED]

        async def work() -> None:
            worker, call = uuid4(), 0
            await rig.lane.beat(EPOCH, worker, [], 0)
            while not done.is_set():
                call += 1
                held = (await rig.lane.take(EPOCH, worker, QUEUE, call, 7)).deliveries
                seen.extend(one.id for one in held)
                await rig.lane.ack(EPOCH, worker, held)
                if len(seen) >= jobs:
                    done.set()
                elif not held:
                    await rig.lane.wait(worker, [QUEUE], 1.0)

        async with asyncio.timeout(60):
            await asyncio.gather(*(produce() for _ in range(3)), *(work() for _ in range(3)))
        assert len(seen) == len(set(seen)) == jobs
