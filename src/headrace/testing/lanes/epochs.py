"""A wrong epoch does nothing; a new one empties the lane and waits for the old one's workers."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from headrace.errors import WrongEpoch
from headrace.model.entry import Ended, PutReply, Taken
from headrace.model.lane_view import Mark, Sighting
from headrace.testing.lanes.rig import EPOCH, LEASE, QUEUE, Rig, entry

NEXT = EPOCH + 1
GRACE = 20.0


class Epochs:
    """Tests of epochs, grace and reassert."""

    async def test_every_verb_refuses_another_epoch(self, rig: Rig) -> None:
        lane, ann, one = rig.lane, rig.ann, entry()
        await rig.put(one)
        held = await rig.take()
        for wrong in (EPOCH - 1, NEXT):
            calls: list[Callable[[int], Awaitable[object]]] = [
                lambda e: lane.put(e, [entry()]),
                lambda e: lane.take(e, ann, QUEUE, 99, 1),
                lambda e: lane.take(e, ann, QUEUE, 99, 1, acks=held),
                lambda e: lane.ack(e, ann, held),
                lambda e: lane.extend(e, ann, held),
                lambda e: lane.release(e, ann, held),
                lambda e: lane.beat(e, ann, [], 99),
                lambda e: lane.leave(e, ann),
                lambda e: lane.expired(e, 1),
                lambda e: lane.drop(e, [Ended(one.id, 1)]),
                lambda e: lane.reassert(e, ann, held),
                lambda e: lane.pause(e, QUEUE),
                lambda e: lane.resume(e, QUEUE),
                lane.paused,
                lambda e: lane.flag(e, [one.id]),
                lambda e: lane.leased(e, [one.id]),
                lambda e: lane.held(e, 9),
                lambda e: lane.limit(e, {QUEUE: 0}),
                lambda e: lane.depth(e, QUEUE),
                lane.sound,
                lambda e: lane.mark(e, Mark(9, ann)),
                lane.cursors,
                lambda e: lane.move_cursor(e, QUEUE, 5, None, None),
            ]
            for call in calls:
                with pytest.raises(WrongEpoch):
                    await call(wrong)
        assert await lane.extend(EPOCH, ann, held) == {held[0].token}, "nothing was done"

    async def test_a_new_epoch_is_empty(self, rig: Rig) -> None:
        one = entry()
        await rig.put(one, entry(delay=1), entry(queue="b"))
        await rig.take(1)
        await rig.lane.limit(EPOCH, {"c": 0})
        await rig.put(entry(queue="c"))
        await rig.lane.open_epoch(NEXT, grace=0)
        assert await rig.lane.epoch() == NEXT
        assert await rig.lane.cursors(NEXT) == {}
        await rig.lane.beat(NEXT, rig.ann, [], 0)
        for queue in (QUEUE, "b", "c"):
            assert await rig.lane.take(NEXT, rig.ann, queue, 50, 9) == Taken([])
        assert await rig.lane.put(NEXT, [one]) == [PutReply.STORED]

    async def test_opening_the_same_epoch_again_does_nothing(self, rig: Rig) -> None:
        await rig.put(entry())
        await rig.lane.open_epoch(EPOCH, grace=GRACE)
        assert len(await rig.take()) == 1

    async def test_an_earlier_epoch_is_refused(self, rig: Rig) -> None:
        with pytest.raises(WrongEpoch):
            await rig.lane.open_epoch(EPOCH - 1)
        assert await rig.lane.epoch() == EPOCH

    async def test_queues_are_paused_from_the_start(self, rig: Rig) -> None:
        await rig.lane.open_epoch(NEXT, grace=0, paused=[QUEUE])
        await rig.lane.beat(NEXT, rig.ann, [], 0)
        await rig.lane.put(NEXT, [entry()])
        assert (await rig.lane.take(NEXT, rig.ann, QUEUE, 50, 9)).deliveries == []

    async def test_in_the_grace_only_what_is_clear_is_given_out(self, rig: Rig) -> None:
        lane, ann = rig.lane, rig.ann
        await lane.open_epoch(NEXT, grace=GRACE)
        await lane.beat(NEXT, ann, [], 0)
        maybe_held, clear = entry(clear=False), entry(clear=True)
        await lane.put(NEXT, [maybe_held, clear])
        taken = await lane.take(NEXT, ann, QUEUE, 50, 9)
        assert [one.id for one in taken.deliveries] == [clear.id]
        assert taken.next_due == pytest.approx(GRACE, abs=1)
        for _ in range(5):
            await rig.pass_time(GRACE / 5)
            await lane.beat(NEXT, ann, taken.deliveries, 50)
        taken = await lane.take(NEXT, ann, QUEUE, 51, 9)
        assert [one.id for one in taken.deliveries] == [maybe_held.id]

    async def test_after_a_new_epoch_all_is_given_out_flagged(self, rig: Rig) -> None:
        lane = rig.lane
        await lane.open_epoch(NEXT, grace=0)
        await lane.beat(NEXT, rig.ann, [], 0)
        await lane.put(NEXT, [entry(flagged=False, stamp=lane.stamp())])
        taken = await lane.take(NEXT, rig.ann, QUEUE, 50, 9)
        assert [one.flagged for one in taken.deliveries] == [True]

    async def test_reasserted_leases_go_on(self, rig: Rig) -> None:
        lane, ann = rig.lane, rig.ann
        await rig.put(entry(), entry())
        held = await rig.take()
        await lane.open_epoch(NEXT, grace=GRACE)
        for _ in range(2):
            assert await lane.reassert(NEXT, ann, held) == {one.token for one in held}
        assert (await lane.beat(NEXT, ann, held, held[0].call)).lost == frozenset()
        known = [entry(id=one.id, clear=False) for one in held]
        assert await lane.put(NEXT, known) == [PutReply.KNOWN] * 2
        await lane.ack(NEXT, ann, held[:1])
        await lane.release(NEXT, ann, held[1:])
        again = (await lane.take(NEXT, ann, QUEUE, 50, 9)).deliveries
        assert [(one.id, one.flagged, one.payload) for one in again] == [
            (held[1].id, True, held[1].payload)
        ]

    async def test_reassert_wins_over_what_waits_for_the_grace(self, rig: Rig) -> None:
        lane, ann = rig.lane, rig.ann
        await rig.put(entry())
        held = await rig.take()
        await lane.open_epoch(NEXT, grace=GRACE)
        await lane.put(NEXT, [entry(id=held[0].id, clear=False)])
        assert await lane.reassert(NEXT, ann, held) == {held[0].token}
        for _ in range(5):
            await rig.pass_time(GRACE / 5)
            await lane.beat(NEXT, ann, held, 1)
        assert (await lane.take(NEXT, ann, QUEUE, 50, 9)).deliveries == []

    async def test_reassert_yields_to_a_newer_generation(self, rig: Rig) -> None:
        lane, ann = rig.lane, rig.ann
        await rig.put(entry())
        held = await rig.take()
        await lane.open_epoch(NEXT, grace=GRACE)
        await lane.put(NEXT, [entry(id=held[0].id, gen=2)])
        assert await lane.reassert(NEXT, ann, held) == set()

    async def test_reassert_does_not_take_what_was_given_back(self, rig: Rig) -> None:
        lane, ann, bob = rig.lane, rig.ann, rig.bob
        await rig.put(entry())
        held = await rig.take()
        await lane.open_epoch(NEXT, grace=GRACE)
        await lane.reassert(NEXT, ann, held)
        await lane.reassert(NEXT, bob, [])
        await lane.release(NEXT, ann, held)
        assert await lane.sound(NEXT)
        theirs = (await lane.take(NEXT, bob, QUEUE, 50, 9)).deliveries
        assert len(theirs) == 1
        assert await lane.reassert(NEXT, ann, held) == set(), "a delayed duplicate"
        assert await lane.extend(NEXT, bob, theirs) == {theirs[0].token}

    async def test_after_the_grace_nothing_is_reasserted(self, rig: Rig) -> None:
        lane = rig.lane
        await rig.put(entry())
        held = await rig.take()
        await lane.open_epoch(NEXT, grace=GRACE)
        await rig.pass_time(GRACE + 1)
        assert await lane.reassert(NEXT, rig.ann, held) == set()

    async def test_reasserted_leases_expire_like_others(self, rig: Rig) -> None:
        lane = rig.lane
        await rig.put(entry())
        held = await rig.take()
        await lane.open_epoch(NEXT, grace=GRACE)
        await lane.reassert(NEXT, rig.ann, held)
        last = await lane.expired(NEXT, 1)
        for _ in range(4):
            await rig.pass_time(LEASE / 3 - 0.5)
            last = await lane.expired(NEXT, 1)
        assert [lease.id for lease in last] == [held[0].id]

    async def test_the_mark_of_the_highest_tide_is_told(self, rig: Rig) -> None:
        lane = rig.lane
        first, second, other = (Mark(tide, uuid4()) for tide in (1, 2, 2))
        assert await lane.seen() == Sighting(EPOCH, living=True, mark=None)
        for mark, told in [(first, first), (second, second), (first, second), (other, second)]:
            await lane.mark(EPOCH, mark)
            assert await lane.seen() == Sighting(EPOCH, living=True, mark=told)
        await lane.open_epoch(EPOCH, grace=0)
        assert await lane.seen() == Sighting(EPOCH, living=True, mark=second)
        await lane.open_epoch(NEXT, grace=0)
        assert await lane.seen() == Sighting(NEXT, living=True, mark=None)

    async def test_the_lane_of_another_ledger_is_another(self, rig: Rig) -> None:
        await rig.put(entry())
        rig.lane.belong_to(uuid4())
        assert await rig.lane.seen() is None
        assert await rig.lane.epoch() is None
        await rig.lane.open_epoch(EPOCH, grace=0)
        await rig.lane.beat(EPOCH, rig.ann, [], 0)
        assert await rig.take() == []
