"""A take leases what is due, once, whatever becomes of its reply."""

import pytest
from msgspec.structs import replace

from headrace.model.entry import Ended
from headrace.model.job import Delivery
from headrace.testing.lanes.rig import EPOCH, QUEUE, Rig, entry


class Takes:
    """Tests of take, ack and release."""

    async def test_entries_of_a_level_come_in_the_order_they_were_put(self, rig: Rig) -> None:
        entries = [entry() for _ in range(9)]
        await rig.put(*entries)
        got = await rig.take(4) + await rig.take(20)
        assert [one.id for one in got] == [one.id for one in entries]

    async def test_no_entry_is_given_twice(self, rig: Rig) -> None:
        await rig.put(*(entry() for _ in range(30)))
        mine, yours = await rig.ids(20), await rig.ids(20, worker=rig.bob)
        assert (len(mine), len(yours), mine & yours) == (20, 10, set())

    async def test_a_queue_gives_only_its_own(self, rig: Rig) -> None:
        await rig.put(entry(queue="a"))
        assert await rig.take(queue="b") == []
        assert len(await rig.take(queue="a")) == 1

    async def test_a_repeated_call_returns_what_is_still_leased_under_it(self, rig: Rig) -> None:
        await rig.put(*(entry() for _ in range(5)))
        first = await rig.take(3)
        assert {one.token for one in await rig.repeat()} == {one.token for one in first}
        await rig.lane.ack(EPOCH, rig.ann, first[:1])
        await rig.lane.release(EPOCH, rig.ann, first[1:2])
        assert [one.token for one in await rig.repeat()] == [first[2].token]

    async def test_a_repeated_call_that_gave_nothing_gives_nothing(self, rig: Rig) -> None:
        assert await rig.take() == []
        await rig.put(entry())
        assert await rig.repeat() == []
        assert len(await rig.take()) == 1

    async def test_a_lower_call_gives_nothing(self, rig: Rig) -> None:
        await rig.put(*(entry() for _ in range(3)))
        held = await rig.take(1)
        await rig.take(1)
        assert await rig.repeat(by=1) == []
        assert await rig.lane.extend(EPOCH, rig.ann, held) == {held[0].token}
        assert len(await rig.take()) == 1

    async def test_calls_count_for_each_queue(self, rig: Rig) -> None:
        await rig.put(entry(queue="a"), entry(queue="b"))
        second = await rig.lane.take(EPOCH, rig.ann, "b", 2, 1)
        first = await rig.lane.take(EPOCH, rig.ann, "a", 1, 1)
        assert (len(second.deliveries), len(first.deliveries)) == (1, 1)

    async def test_without_a_lease_a_worker_gets_nothing(self, rig: Rig) -> None:
        await rig.put(entry())
        await rig.fall_silent(rig.ann)
        assert await rig.take() == []
        await rig.beat(rig.ann)
        assert len(await rig.take()) == 1

    async def test_what_is_delayed_comes_when_it_is_due(self, rig: Rig) -> None:
        later, soon = entry(delay=4), entry(delay=2)
        await rig.put(later, soon)
        empty = await rig.taken()
        assert empty.deliveries == []
        assert empty.next_due == pytest.approx(2, abs=0.5)
        await rig.pass_time(2)
        some = await rig.taken()
        assert [one.id for one in some.deliveries] == [soon.id]
        assert some.next_due == pytest.approx(2, abs=0.5)
        await rig.pass_time(2)
        assert await rig.ids() == {later.id}
        assert (await rig.taken()).next_due is None

    async def test_an_ack_ends_an_entry(self, rig: Rig) -> None:
        await rig.put(entry(), entry())
        held = await rig.take()
        await rig.lane.ack(EPOCH, rig.ann, held)
        await rig.lane.ack(EPOCH, rig.ann, held)
        assert await rig.beat(rig.ann, held) == await rig.beat(rig.ann, held)
        assert (await rig.beat(rig.ann, held)).lost == {one.token for one in held}
        assert await rig.take() == []

    async def test_acks_ride_on_a_take(self, rig: Rig) -> None:
        one = entry()
        await rig.put(one)
        held = await rig.take()
        await rig.put(entry())
        assert len(await rig.take(acks=held)) == 1
        assert await rig.put(one) != await rig.put(one), "it was gone, so it could be put again"

    async def test_an_ack_of_anything_else_does_nothing(self, rig: Rig) -> None:
        await rig.put(entry(), entry(delay=60))
        (held,) = await rig.take()
        await rig.lane.ack(EPOCH, rig.bob, [held])
        for wrong in ({"gen": 2}, {"call": 9}):
            await rig.lane.ack(EPOCH, rig.ann, [_but(held, **wrong)])
        assert await rig.lane.extend(EPOCH, rig.ann, [held]) == {held.token}

    async def test_a_late_ack_leaves_a_newer_generation_alone(self, rig: Rig) -> None:
        await rig.put(one := entry())
        old = await rig.take()
        await rig.put(entry(id=one.id, gen=2))
        await rig.lane.ack(EPOCH, rig.ann, old)
        assert [got.gen for got in await rig.take()] == [2]

    async def test_what_is_released_comes_back_first_and_flagged(self, rig: Rig) -> None:
        fresh = [await rig.fresh() for _ in range(4)]
        await rig.put(*fresh)
        held = await rig.take(3)
        assert not any(one.flagged for one in held)
        await rig.lane.release(EPOCH, rig.ann, held)
        await rig.lane.release(EPOCH, rig.ann, held)
        again = await rig.take(10, worker=rig.bob)
        assert [(one.id, one.flagged) for one in again] == [
            *((one.id, True) for one in fresh[:3]),
            (fresh[3].id, False),
        ]

    async def test_a_release_of_anything_else_does_nothing(self, rig: Rig) -> None:
        await rig.put(entry())
        (held,) = await rig.take()
        await rig.lane.release(EPOCH, rig.bob, [held])
        for wrong in ({"gen": 2}, {"call": 9}):
            await rig.lane.release(EPOCH, rig.ann, [_but(held, **wrong)])
        assert await rig.take(worker=rig.bob) == []

    async def test_a_release_after_a_newer_generation_does_nothing(self, rig: Rig) -> None:
        await rig.put(one := entry())
        old = await rig.take()
        await rig.put(entry(id=one.id, gen=2))
        await rig.lane.release(EPOCH, rig.ann, old)
        assert [got.gen for got in await rig.take()] == [2]

    async def test_extend_names_what_is_still_the_workers_own(self, rig: Rig) -> None:
        await rig.put(entry(), entry(), entry())
        held = await rig.take()
        await rig.lane.drop(EPOCH, [Ended(held[0].id, 1)])
        await rig.put(entry(id=held[1].id, gen=2))
        assert await rig.lane.extend(EPOCH, rig.ann, held) == {held[2].token}
        assert await rig.lane.extend(EPOCH, rig.bob, held) == set()

    async def test_a_paused_queue_gives_nothing(self, rig: Rig) -> None:
        await rig.put(entry())
        await rig.lane.pause(EPOCH, QUEUE)
        assert await rig.lane.paused(EPOCH) == {QUEUE}
        assert await rig.take() == []
        assert len(await rig.put(entry())) == 1
        await rig.lane.resume(EPOCH, QUEUE)
        assert len(await rig.take()) == 2

    async def test_a_dropped_entry_is_passed_over(self, rig: Rig) -> None:
        entries = [entry(delay=i % 2) for i in range(8)]
        await rig.put(*entries)
        await rig.lane.drop(EPOCH, [Ended(one.id, 1) for one in entries[:6]])
        await rig.pass_time(1)
        assert await rig.ids(2) == {one.id for one in entries[6:]}

    async def test_a_drop_leaves_a_newer_generation_alone(self, rig: Rig) -> None:
        one = entry(gen=3)
        await rig.put(one)
        await rig.lane.drop(EPOCH, [Ended(one.id, 2)])
        assert await rig.ids() == {one.id}

    async def test_dropped_and_put_again_is_given_once(self, rig: Rig) -> None:
        one = entry()
        await rig.put(one)
        await rig.lane.drop(EPOCH, [Ended(one.id, 1)])
        await rig.put(one)
        assert len(await rig.take()) == 1
        assert await rig.take(worker=rig.bob) == []


def _but(delivery: Delivery, **changes: int) -> Delivery:
    return replace(delivery, **changes)
