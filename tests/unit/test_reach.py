"""Whether the lane can be reached: what calls tell that are made anyway."""

import asyncio

import pytest

from headrace.engines.reach import Reach
from headrace.errors import LaneUnavailable, WrongEpoch
from headrace.ports.clock import boottime


async def hang(reach: Reach, *, at_once: bool = True) -> None:
    async with reach.seen(at_once=at_once):
        await asyncio.Event().wait()


async def test_a_call_under_way_tells_since_when_the_lane_is_silent() -> None:
    reach, before = Reach(), boottime()
    assert reach.silent_since is None
    waiting = asyncio.create_task(hang(reach, at_once=False))
    await asyncio.sleep(0)
    assert reach.silent_since is None  # it may wait for long where all is well
    asking = asyncio.create_task(hang(reach))
    await asyncio.sleep(0)
    assert reach.silent_since is not None
    assert before <= reach.silent_since <= boottime()
    async with reach.seen():
        pass
    assert reach.silent_since == reach.reached_at  # another one was answered since
    for task in (waiting, asking):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert reach.silent_since is None


async def test_who_asks_in_vain_is_forsaken_and_that_is_no_outage() -> None:
    reach = Reach()
    calls = [asyncio.create_task(hang(reach, at_once=quick)) for quick in (True, False)]
    await asyncio.sleep(0)
    reach.forsake()
    reach.forsake()  # harmless: they are ending
    for call in calls:
        with pytest.raises(WrongEpoch):
            await call
    assert reach.lost_at is None
    assert reach.silent_since is None


async def test_an_outage_begins_when_the_first_call_was_asked_that_failed() -> None:
    reach = Reach()
    for _ in range(2):
        asked = boottime()
        with pytest.raises(LaneUnavailable):
            async with reach.seen():
                raise LaneUnavailable("away")
    assert reach.lost_at is not None
    assert reach.reached_at <= reach.lost_at < asked


async def test_a_timeout_of_the_callers_own_stays_one() -> None:
    reach = Reach()
    with pytest.raises(TimeoutError):
        async with reach.seen(), asyncio.timeout(0):
            await asyncio.Event().wait()
