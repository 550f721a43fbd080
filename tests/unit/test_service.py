"""A loop runs one round at a time, whoever starts and stops it and in whatever order."""

import asyncio
import random

import pytest

from headrace.service import Loop


class Rounds:
    """A poll that knows how many of it are under way."""

    def __init__(self) -> None:
        self.under_way = 0
        self.most = 0
        self.done = 0

    async def poll(self) -> float:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        for _ in range(3):
            await asyncio.sleep(0)
        self.under_way -= 1
        self.done += 1
        return 0.0 if self.done % 2 else 3600.0


async def turns(n: int) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


async def test_a_start_during_a_stop_begins_after_it() -> None:
    rounds = Rounds()
    loop = Loop("tested", rounds.poll)
    loop.start()
    await turns(2)
    stopping = asyncio.create_task(loop.stop())
    await turns(1)
    loop.start()
    async with asyncio.timeout(5):
        await stopping
        before = rounds.done
        await turns(10)
        assert rounds.done > before
        await loop.stop()
    assert (rounds.most, rounds.under_way) == (1, 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_every_stop_waits_for_the_round_under_way() -> None:
    rounds = Rounds()
    loop = Loop("tested", rounds.poll)
    loop.start()
    await turns(2)

    async def stop() -> None:
        await loop.stop()
        assert rounds.under_way == 0

    assert rounds.under_way == 1
    await asyncio.gather(stop(), stop(), stop())


async def test_a_wake_ends_the_rest() -> None:
    rounds = Rounds()
    loop = Loop("tested", rounds.poll)
    loop.start()
    await turns(30)
    assert rounds.done == 2
    loop.wake()
    await turns(10)
    assert rounds.done == 4
    await loop.stop()


@pytest.mark.parametrize("seed", range(5))
async def test_ten_tasks_start_and_stop_it_twenty_times_each(seed: int) -> None:
    rounds = Rounds()
    loop = Loop("tested", rounds.poll)
    dice = random.Random(seed)

    async def fiddle() -> None:
        for _ in range(20):
            loop.start()
            await turns(dice.choice([0, 1, 5, 60]))
            loop.wake()
            await turns(dice.choice([0, 1, 5, 60]))
            await loop.stop()

    async with asyncio.timeout(20):
        await asyncio.gather(*(fiddle() for _ in range(10)))
        await loop.stop()
    assert (rounds.most, rounds.under_way) == (1, 0)
    assert rounds.done > 20
    assert asyncio.all_tasks() == {asyncio.current_task()}
