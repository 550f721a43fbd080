"""Leases belong to workers: beats reconcile, silence expires (protocol A1)."""

from uuid import uuid4

from headrace.model.entry import Ended, PutReply
from headrace.testing.lanes.rig import EPOCH, LEASE, QUEUE, Rig, entry


class Leases:
    """Tests of beat, leave, expired, leased and flag."""

    async def test_what_is_leased_is_told_by_attempt(self, rig: Rig) -> None:
        one, other, waiting = entry(), entry(gen=3), entry(delay=9)
        await rig.put(one, other, waiting)
        held = await rig.take()
        ids = [one.id, other.id, waiting.id]
        assert await rig.lane.leased(EPOCH, ids) == {(one.id, 1), (other.id, 3)}
        assert await rig.lane.leased(EPOCH, ids[1:2]) == {(other.id, 3)}
        assert await rig.lane.held(EPOCH, 9) == {(one.id, 1): QUEUE, (other.id, 3): QUEUE}
        assert len(await rig.lane.held(EPOCH, 1)) == 1
        await rig.lane.ack(EPOCH, rig.ann, held)
        assert await rig.lane.leased(EPOCH, ids) == set()

    async def test_a_lease_is_told_of_beside_a_newer_generation(self, rig: Rig) -> None:
        old = entry()
        await rig.put(old)
        await rig.take()
        await rig.put(entry(id=old.id, gen=2))
        assert await rig.lane.leased(EPOCH, [old.id]) == {(old.id, 1)}
        await rig.take(worker=rig.bob)
        assert await rig.lane.leased(EPOCH, [old.id]) == {(old.id, 1), (old.id, 2)}

    async def test_what_is_flagged_is_given_flagged(self, rig: Rig) -> None:
        taken = await rig.fresh()
        await rig.put(taken)
        (held,) = await rig.take()
        one, other = await rig.fresh(), await rig.fresh()
        await rig.put(one, other)
        assert await rig.lane.flag(EPOCH, [taken.id, one.id]) == {held.token}
        flags = {delivery.id: delivery.flagged for delivery in await rig.take()}
        assert flags == {one.id: True, other.id: False}
        await rig.lane.release(EPOCH, rig.ann, [held])
        assert [back.flagged for back in await rig.take()] == [True]

    async def test_a_flagged_job_that_is_not_there_is_not_put_unflagged(self, rig: Rig) -> None:
        one = await rig.fresh()
        assert await rig.lane.flag(EPOCH, [one.id]) == set()
        assert await rig.put(one) == [PutReply.REFUSED]
        assert await rig.put(entry(id=one.id)) == [PutReply.STORED]

    async def test_a_beat_keeps_what_it_names(self, rig: Rig) -> None:
        await rig.put(entry(), entry())
        held = await rig.take()
        beat = await rig.beat(rig.ann, held)
        assert (beat.alive, beat.lost) == (True, frozenset())
        assert await rig.take(worker=rig.bob) == []

    async def test_a_beat_releases_what_an_answered_call_gave_unnamed(self, rig: Rig) -> None:
        fresh = [await rig.fresh() for _ in range(3)]
        await rig.put(*fresh)
        held = await rig.take()
        await rig.beat(rig.ann, held[:1])
        again = await rig.take(worker=rig.bob)
        assert [(one.id, one.flagged) for one in again] == [
            (one.id, True) for one in (fresh[1], fresh[2])
        ]

    async def test_a_beat_leaves_what_a_reply_in_flight_brings(self, rig: Rig) -> None:
        await rig.put(entry())
        held = await rig.take()
        await rig.beat(rig.ann, [], answered=held[0].call - 1)
        assert await rig.take(worker=rig.bob) == []
        assert await rig.lane.extend(EPOCH, rig.ann, held) == {held[0].token}

    async def test_a_call_that_arrives_after_it_was_given_up_is_released(self, rig: Rig) -> None:
        await rig.put(entry())
        await rig.beat(rig.ann, [], answered=7)
        late = await rig.lane.take(EPOCH, rig.ann, "mail", 7, 1)
        assert len(late.deliveries) == 1
        await rig.beat(rig.ann, [], answered=7)
        assert len(await rig.take(worker=rig.bob)) == 1

    async def test_a_beat_tells_what_is_lost(self, rig: Rig) -> None:
        await rig.put(*(entry() for _ in range(4)))
        held = await rig.take()
        await rig.lane.drop(EPOCH, [Ended(held[0].id, 1)])
        await rig.put(entry(id=held[1].id, gen=2))
        await rig.lane.release(EPOCH, rig.ann, [held[2]])
        beat = await rig.beat(rig.ann, held)
        assert beat.lost == {one.token for one in held[:3]}

    async def test_a_beat_is_repeatable(self, rig: Rig) -> None:
        await rig.put(*(entry() for _ in range(3)))
        held = await rig.take()
        for _ in range(2):
            assert (await rig.beat(rig.ann, held[:2])).lost == frozenset()
        assert len(await rig.take(worker=rig.bob)) == 1

    async def test_silence_expires_and_only_it(self, rig: Rig) -> None:
        await rig.put(entry(), entry())
        mine, yours = await rig.take(1), await rig.take(1, worker=rig.bob)
        assert await rig.lane.expired(EPOCH, 10) == []
        await rig.fall_silent(rig.ann)
        for _ in range(2):
            (lease,) = await rig.lane.expired(EPOCH, 10)
            assert lease == (rig.ann, mine[0].id, 1, mine[0].call), "it tells what may have run"
        assert await rig.lane.extend(EPOCH, rig.bob, yours) == {yours[0].token}
        assert await rig.take(worker=rig.bob) == [], "it does not come back by itself"

    async def test_what_was_listed_is_out_of_its_workers_reach(self, rig: Rig) -> None:
        await rig.put(entry(), entry())
        mine = await rig.take(2)
        await rig.fall_silent(rig.ann)
        (lease,) = await rig.lane.expired(EPOCH, 1)
        assert not (await rig.lane.beat(EPOCH, rig.ann, mine, mine[0].call)).alive
        await rig.lane.release(EPOCH, rig.ann, mine)
        assert len(await rig.take(worker=rig.bob)) == 1, "only what was not listed"
        await rig.lane.drop(EPOCH, [Ended(lease.id, lease.gen)])
        assert (await rig.lane.beat(EPOCH, rig.ann, (), mine[0].call)).alive

    async def test_expired_is_bounded(self, rig: Rig) -> None:
        await rig.put(*(entry() for _ in range(9)))
        await rig.take()
        await rig.fall_silent(rig.ann)
        assert len(await rig.lane.expired(EPOCH, 4)) == 4
        assert len(await rig.lane.expired(EPOCH, 100)) == 9

    async def test_what_expired_leaves_by_a_newer_generation_or_a_drop(self, rig: Rig) -> None:
        await rig.put(entry(), entry())
        one, other = await rig.take()
        await rig.fall_silent(rig.ann)
        await rig.put(entry(id=one.id, gen=2))
        await rig.lane.drop(EPOCH, [Ended(other.id, 1)])
        assert await rig.lane.expired(EPOCH, 10) == []
        assert [got.token for got in await rig.take(worker=rig.bob)] == [(one.id, 2)]

    async def test_a_late_beat_keeps_what_nobody_took(self, rig: Rig) -> None:
        await rig.put(entry(), entry())
        held = await rig.take()
        await rig.fall_silent(rig.ann)
        await rig.put(entry(id=held[0].id, gen=2))
        assert (await rig.beat(rig.ann, held)).lost == {held[0].token}
        assert await rig.lane.expired(EPOCH, 10) == []

    async def test_a_worker_that_leaves_empty_is_gone(self, rig: Rig) -> None:
        await rig.lane.leave(EPOCH, rig.ann)
        await rig.lane.leave(EPOCH, uuid4())
        await rig.put(entry())
        assert await rig.take() == []

    async def test_what_a_leaving_worker_holds_has_expired(self, rig: Rig) -> None:
        await rig.put(entry())
        held = await rig.take()
        await rig.lane.leave(EPOCH, rig.ann)
        assert [lease.id for lease in await rig.lane.expired(EPOCH, 10)] == [held[0].id]

    async def test_a_gap_in_looking_costs_no_lease(self, rig: Rig) -> None:
        await rig.put(entry())
        await rig.take()
        for _ in range(3):
            await rig.pass_time(10 * LEASE)
            assert await rig.lane.expired(EPOCH, 10) == [], "nobody had a chance to beat"
        await rig.fall_silent(rig.ann)
        assert len(await rig.lane.expired(EPOCH, 10)) == 1

    async def test_a_gap_in_looking_delays_an_end_by_no_more_than_itself(self, rig: Rig) -> None:
        await rig.put(entry())
        await rig.take()
        for silent in (LEASE / 3, 10 * LEASE, LEASE / 3, 10 * LEASE, LEASE / 3 - 0.5):
            await rig.pass_time(silent)
            assert await rig.lane.expired(EPOCH, 10) == []
        await rig.pass_time(1.0)
        assert len(await rig.lane.expired(EPOCH, 10)) == 1
        await rig.pass_time(10 * LEASE)
        assert len(await rig.lane.expired(EPOCH, 10)) == 1, "what is over stays over"

    async def test_the_late_beats_of_one_worker_leave_no_gap(self, rig: Rig) -> None:
        await rig.put(entry())
        (mine,) = await rig.take()
        for _ in range(3):
            await rig.pass_time(LEASE / 3 + 0.5)
            await rig.beat(rig.bob, answered=0)
        assert [lease.id for lease in await rig.lane.expired(EPOCH, 10)] == [mine.id]

    async def test_after_a_gap_all_is_suspect(self, rig: Rig) -> None:
        await rig.pass_time(10 * LEASE)
        await rig.put(await rig.fresh())
        assert [one.flagged for one in await rig.take()] == [True]
