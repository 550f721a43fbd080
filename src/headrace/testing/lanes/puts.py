"""What is put is there once; what comes late, twice or too much is not."""

from uuid import UUID

from headrace.model.entry import Cursor, Ended, PutReply
from headrace.testing.lanes.rig import CAPS, EPOCH, QUEUE, Rig, entry

STORED, KNOWN, FULL, REFUSED = PutReply.STORED, PutReply.KNOWN, PutReply.FULL, PutReply.REFUSED


class Puts:
    """Tests of put."""

    async def test_what_is_put_comes_out_as_it_was(self, rig: Rig) -> None:
        one = entry(gen=3, priority=7)
        assert await rig.put(one) == [STORED]
        (got,) = await rig.take()
        assert (got.id, got.gen, got.queue, got.priority) == (one.id, 3, QUEUE, 7)
        assert (got.task, got.payload, got.tenant) == ("send", b'{"to":"a"}', "acme")
        assert (got.failures, got.crashes, got.max_attempts) == (1, 2, 5)
        assert (got.call, got.flagged, got.owned) == (1, True, False)

    async def test_a_repeated_put_changes_nothing(self, rig: Rig) -> None:
        one = entry()
        assert await rig.put(one, one) == [STORED, KNOWN]
        assert await rig.put(one) == [KNOWN]
        assert len(await rig.take()) == 1
        assert await rig.put(one) == [KNOWN], "it is leased"
        assert await rig.take() == []

    async def test_a_newer_generation_replaces_an_older(self, rig: Rig) -> None:
        one = entry()
        await rig.put(one)
        assert await rig.put(entry(id=one.id, gen=2, priority=1)) == [STORED]
        assert await rig.put(one) == [KNOWN]
        assert [(got.gen, got.priority) for got in await rig.take()] == [(2, 1)]
        assert await rig.take() == []

    async def test_a_newer_generation_takes_a_lease_away(self, rig: Rig) -> None:
        one = entry()
        await rig.put(one)
        old = await rig.take()
        await rig.put(entry(id=one.id, gen=2))
        assert [got.gen for got in await rig.take(worker=rig.bob)] == [2]
        assert (await rig.beat(rig.ann, old)).lost == {(one.id, 1)}

    async def test_replies_keep_the_order_of_entries_of_several_queues(self, rig: Rig) -> None:
        known = entry(queue="b")
        await rig.put(known)
        replies = await rig.put(entry(queue="a"), known, entry(queue="a"), entry(queue="c"))
        assert replies == [STORED, KNOWN, STORED, STORED]
        assert [len(await rig.take(queue=queue)) for queue in "abc"] == [2, 1, 1]

    async def test_more_than_one_call_can_carry(self, rig: Rig) -> None:
        entries = [entry(queue=f"q{i % 30}") for i in range(390)]
        assert set(await rig.put(*entries)) == {STORED}
        got = [one.id for i in range(30) for one in await rig.take(50, queue=f"q{i}")]
        assert sorted(got) == sorted(one.id for one in entries)

    async def test_a_level_is_bounded_and_what_spills_sets_the_cursor(self, rig: Rig) -> None:
        fits = [entry(run_at=i) for i in range(CAPS.level)]
        over = [entry(run_at=100), entry(run_at=90), entry(run_at=95)]
        assert await rig.put(*fits) == [STORED] * CAPS.level
        assert await rig.put(*over) == [FULL] * 3
        assert await rig.put(entry(priority=1), entry(queue="other")) == [STORED, STORED]
        cursors = await rig.lane.cursors(EPOCH)
        assert set(cursors) == {(QUEUE, 5)}
        await rig.take(20)
        assert await rig.put(over[0]) == [STORED]

    async def test_delayed_entries_are_bounded_apart(self, rig: Rig) -> None:
        late = [entry(delay=60) for _ in range(CAPS.level)]
        assert await rig.put(*late) == [STORED] * CAPS.level
        assert await rig.put(entry(delay=60), entry()) == [FULL, STORED]

    async def test_the_lane_is_bounded(self, rig: Rig) -> None:
        many = [entry(queue=f"q{i % 20}") for i in range(CAPS.total)]
        assert set(await rig.put(*many)) == {STORED}
        assert await rig.put(entry(queue="q0")) == [FULL]

    async def test_a_full_lane_starves_no_queue(self, rig: Rig) -> None:
        """Else those that nobody works on, or that are paused, would stop all others."""
        await rig.put(*(entry(queue=f"q{i % 20}") for i in range(CAPS.total)))
        assert CAPS.floor == 1
        assert await rig.put(entry(), entry(), entry(delay=60)) == [STORED, FULL, FULL]
        assert await rig.put(entry(priority=1)) == [STORED]
        late = [entry(queue="late", delay=60) for _ in range(2)]
        assert await rig.put(*late) == [STORED, FULL]
        assert len(await rig.take(20)) == 2
        assert await rig.put(entry()) == [STORED]

    async def test_a_queue_may_have_a_limit_of_its_own(self, rig: Rig) -> None:
        await rig.lane.limit(EPOCH, {QUEUE: 1})
        assert await rig.put(entry(), entry()) == [STORED, FULL]

    async def test_what_does_not_fit_removes_its_older_generation(self, rig: Rig) -> None:
        old = entry()
        await rig.put(old, *(entry(priority=1) for _ in range(CAPS.level)))
        assert await rig.put(entry(id=old.id, gen=2, priority=1)) == [FULL]
        assert old.id not in await rig.ids()

    async def test_the_cursor_moves_by_compare_and_set(self, rig: Rig) -> None:
        lane, where = rig.lane, (QUEUE, 5)
        first, last = entry(run_at=50), entry(run_at=70)
        await lane.limit(EPOCH, {QUEUE: 0})
        await rig.put(first)
        at = Cursor(50, first.id)
        assert await lane.cursors(EPOCH) == {where: at}
        refused = await lane.move_cursor(EPOCH, *where, None, at)
        assert refused == (False, at), "it is not there any more"
        beyond = Cursor(60, first.id)
        assert await lane.move_cursor(EPOCH, *where, at, beyond) == (True, beyond)
        await rig.put(last)
        lowered = Cursor(70, last.id)
        assert await lane.move_cursor(EPOCH, *where, beyond, None) == (True, lowered)
        assert await lane.cursors(EPOCH) == {where: lowered}, "it did not fit meanwhile"
        assert await lane.move_cursor(EPOCH, *where, lowered, None) == (True, None)
        assert await lane.cursors(EPOCH) == {}

    async def test_cursors_compare_run_at_first_and_then_the_id(self, rig: Rig) -> None:
        lane, where = rig.lane, (QUEUE, 5)
        await lane.limit(EPOCH, {QUEUE: 0})
        keys = [(1 << 40, 9), (256, 1), (255, 7), (255, 3), (300, 0)]
        entries = [entry(id=UUID(int=id_), run_at=run_at) for run_at, id_ in keys]
        for one in entries:
            await rig.put(one)
        first = Cursor(1 << 40, entries[0].id)
        assert (await lane.move_cursor(EPOCH, *where, first, None)).done
        assert await lane.cursors(EPOCH) == {where: Cursor(255, UUID(int=3))}

    async def test_only_what_is_fresh_goes_unflagged(self, rig: Rig) -> None:
        now = await rig.stamp()
        stamps = {now: False, now - 1500: False, now - 2500: True, now + 60_000: True, None: True}
        for stamp, flagged in stamps.items():
            await rig.put(entry(flagged=False, stamp=stamp))
            (got,) = await rig.take()
            assert got.flagged is flagged, stamp

    async def test_what_ends_awaited_refuses_its_producers_late_push(self, rig: Rig) -> None:
        late = await rig.fresh()
        await rig.put(entry(id=late.id, awaited=True))
        await rig.lane.ack(EPOCH, rig.ann, await rig.take())
        assert await rig.put(late) == [REFUSED]
        assert await rig.put(entry(id=late.id)) == [STORED], "a flagged one is asked about"

    async def test_what_ends_unawaited_leaves_no_tombstone(self, rig: Rig) -> None:
        late = await rig.fresh()
        await rig.put(entry(id=late.id))
        await rig.lane.ack(EPOCH, rig.ann, await rig.take())
        assert await rig.put(late) == [STORED]

    async def test_an_awaited_job_stays_so_through_retry_and_release(self, rig: Rig) -> None:
        late = await rig.fresh()
        await rig.put(entry(id=late.id, awaited=True))
        first = await rig.take()
        await rig.put(entry(id=late.id, gen=2))
        await rig.lane.ack(EPOCH, rig.ann, first)
        await rig.lane.release(EPOCH, rig.ann, await rig.take())
        await rig.lane.ack(EPOCH, rig.ann, await rig.take())
        assert await rig.put(late) == [REFUSED]

    async def test_a_dropped_awaited_job_refuses_a_late_push(self, rig: Rig) -> None:
        there, absent = await rig.fresh(), await rig.fresh()
        await rig.put(entry(id=there.id, awaited=True))
        await rig.lane.drop(EPOCH, [Ended(there.id, 1), Ended(absent.id, 1, awaited=True)])
        assert await rig.put(there, absent) == [REFUSED, REFUSED]

    async def test_a_tombstone_goes(self, rig: Rig) -> None:
        gone = entry()
        await rig.lane.drop(EPOCH, [Ended(gone.id, 1, awaited=True)])
        for _ in range(3):
            await rig.pass_time(4)
            await rig.beat_all()
        assert await rig.put(entry(id=gone.id, flagged=False, stamp=await rig.stamp())) == [STORED]
