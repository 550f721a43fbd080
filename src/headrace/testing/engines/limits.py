"""Rate limits hold wherever jobs are given out from, and whatever is lost meanwhile."""

from collections.abc import Sequence
from datetime import timedelta

from headrace.model.job import Delivery
from headrace.model.rate import Admission, Ask, RateLimit, Use
from headrace.model.state import State
from headrace.testing.engines.rig import Rig

DAILY = RateLimit("daily", "3/day", "1000/s")


class Limits:
    """Tests of the limiter."""

    async def test_what_a_limit_leaves_no_room_for_is_put_off(self, rig: Rig) -> None:
        admitted, put_off = await _started(rig, 5)
        assert (len(admitted), len(put_off)) == (3, 2)
        for one in put_off:
            job = await rig.get(one.id)
            assert (job.state, job.attempt, job.snoozes) == (State.SCHEDULED, 0, 0)
            assert job.gen > one.gen
        assert await rig.take() == []
        assert await rig.complete(admitted) == {one.token for one in admitted}
        assert await rig.complete(put_off) == set()

    async def test_it_comes_again_when_its_turn_is(self, rig: Rig) -> None:
        _, (last,) = await _started(rig, 4)
        await rig.around.pass_time(86_500)
        (again,) = await rig.take()
        assert (again.id, again.attempt) == (last.id, 1)

    async def test_all_workers_share_a_limit(self, rig: Rig) -> None:
        await _started(rig, 3)
        await rig.insert()
        taken = await rig.take(worker=rig.bob)
        assert [one.put_off for one in await _ask(rig, taken)] == [True]

    async def test_a_lane_that_loses_all_gives_no_start_more(self, rig: Rig) -> None:
        admitted, _ = await _started(rig, 3)
        await rig.complete(admitted)
        await rig.around.lose_lane()
        admitted, put_off = await _started(rig, 2)
        assert (len(admitted), len(put_off)) == (0, 2)

    async def test_keys_count_apart_and_weights_more(self, rig: Rig) -> None:
        await rig.engine.limiter.declare([DAILY])
        await rig.insert(4)
        taken = await rig.take()
        uses = [("a", 2), ("a", 2), ("b", 3), ("b", 1)]
        asks = [Ask(one, (Use(DAILY.name, *use),)) for one, use in zip(taken, uses, strict=True)]
        answers = await rig.engine.limiter.admit(asks)
        assert [one.put_off for one in answers] == [False, True, False, True]

    async def test_a_limit_rests_for_all(self, rig: Rig) -> None:
        await rig.engine.limiter.declare([DAILY])
        await rig.engine.limiter.rest([Use(DAILY.name, "", 1)], timedelta(seconds=60))
        _, (one,) = await _started(rig, 1)
        await rig.around.pass_time(30)
        assert await rig.take() == []
        await rig.around.pass_time(31)
        (again,) = await rig.take()
        assert again.id == one.id

    async def test_those_who_wait_ask_again_when_the_limit_is_another(self, rig: Rig) -> None:
        _, put_off = await _started(rig, 5)
        asked = await rig.engine.limiter.set(DAILY.name, RateLimit("x", "4/day").rates)
        assert asked == 2
        taken = await rig.take()
        assert {one.id for one in taken} == {one.id for one in put_off}
        assert sorted(one.put_off for one in await _ask(rig, taken)) == [False, True]
        assert await rig.engine.limiter.delete(DAILY.name) == 1
        (last,) = await rig.take()
        assert [one.put_off for one in await _ask(rig, [last], declare=False)] == [False]


async def _started(rig: Rig, n: int) -> tuple[list[Delivery], list[Delivery]]:
    """So many jobs, as `ann` would start them: those that may, and those that were put off."""
    await rig.insert(n)
    taken = await rig.take(n)
    answers = list(zip(taken, await _ask(rig, taken), strict=True))
    return (
        [one for one, answer in answers if not answer.put_off],
        [one for one, answer in answers if answer.put_off],
    )


async def _ask(
    rig: Rig, deliveries: Sequence[Delivery], *, declare: bool = True
) -> list[Admission]:
    if declare:
        await rig.engine.limiter.declare([DAILY])
    asks = [Ask(one, (Use(DAILY.name, "", 1),)) for one in deliveries]
    answers = await rig.engine.limiter.admit(asks)
    for one, answer in zip(deliveries, answers, strict=True):
        if answer.put_off:
            rig.engine.settled(rig.ann, one)
    return answers
