"""Concurrency limits: no more live jobs of a line than it has seats, whatever becomes of them."""

from datetime import timedelta

import pytest

from headrace.model.concurrency import ConcurrencyLimit
from headrace.model.job import Ending
from headrace.model.outcome import Cancel, Dead, Outcome
from headrace.model.state import State
from headrace.model.verdict import steered
from headrace.testing.engines.rig import OTHER, QUEUE, TASK, Rig, failure
from headrace.testing.engines.seats import add_jobs, narrow, now_live, run_all, say_limits


class Seating:
    """Tests of concurrency limits, in both modes."""

    async def test_no_more_than_there_are_seats(self, rig: Rig) -> None:
        await narrow(rig, 2)
        ids = await add_jobs(rig, 5)
        taken = await now_live(rig)
        assert [one.id for one in taken] == ids[:2]
        assert (await rig.get(ids[2])).state is State.BLOCKED
        assert await now_live(rig) == [], "while they run"
        await rig.complete(taken[:1])
        assert [one.id for one in await now_live(rig)] == [ids[2]]

    async def test_all_of_them_run_in_the_end(self, rig: Rig) -> None:
        await narrow(rig, 2)
        ids = await add_jobs(rig, 7)
        assert await run_all(rig) == ids

    async def test_a_key_has_seats_of_its_own(self, rig: Rig) -> None:
        await narrow(rig, 1, key="{to}-{x}", defaults={"x": "d"})
        payloads = [b'{"to": "a"}', b'{"to": "a"}', b'{"to": 7, "x": "y"}', b'{"to": "a", "x": 1}']
        ids = [(await add_jobs(rig, 1, payload=one))[0] for one in payloads]
        assert {one.id for one in await now_live(rig)} == {ids[0], ids[2], ids[3]}
        _, lines = await rig.engine.limiter.seats.limit("narrow")
        assert [(one.key, one.taken, one.standing) for one in lines] == [
            ("7-y", 1, 0),
            ("a-1", 1, 0),
            ("a-d", 1, 1),
        ]

    async def test_a_job_says_its_key_itself(self, rig: Rig) -> None:
        await narrow(rig, 1, key="{to}")
        said = [{"limits": {"key": key}} for key in ("a", "b", "b")]
        ids = [(await add_jobs(rig, 1, headers=one))[0] for one in said]
        assert {one.id for one in await now_live(rig)} == set(ids[:2])

    async def test_a_queue_and_a_task_share_a_limit(self, rig: Rig) -> None:
        await narrow(rig, 1, queue=OTHER, task=TASK)
        (first,) = await add_jobs(rig, 1)
        (second,) = await add_jobs(rig, 1, queue=OTHER)
        (one,) = await now_live(rig)
        assert one.id == first
        assert await now_live(rig, queue=OTHER) == []
        await rig.complete([one])
        assert [two.id for two in await now_live(rig, queue=OTHER)] == [second]

    async def test_all_its_seats_or_none(self, rig: Rig) -> None:
        """Who waits for one line holds no seat in another, and holds up nobody there."""
        await say_limits(rig, [ConcurrencyLimit("all", 2), ConcurrencyLimit("each", 1, key="{to}")])
        a = await add_jobs(rig, 3, payload=b'{"to": "a"}')
        b = await add_jobs(rig, 2, payload=b'{"to": "b"}')
        taken = await now_live(rig)
        assert {one.id for one in taken} == {a[0], b[0]}
        await rig.complete([one for one in taken if one.id == b[0]])
        assert [one.id for one in await now_live(rig)] == [b[1]]
        assert {*await run_all(rig)} == set(), "the last two run"

    async def test_the_urgent_first(self, rig: Rig) -> None:
        await narrow(rig, 1)
        (first, last) = await add_jobs(rig, 2)
        (urgent,) = await add_jobs(rig, 1, priority=1)
        (moved,) = await add_jobs(rig, 1)
        await rig.around.inspector.reprioritise([moved], 2, "ann")
        assert await run_all(rig) == [first, urgent, moved, last]

    @pytest.mark.parametrize("delay", [0.0, 60.0])
    async def test_who_retries_gives_its_seat_up_until_it_is_due(
        self, rig: Rig, delay: float
    ) -> None:
        await narrow(rig, 1)
        first, second = await add_jobs(rig, 2)
        (one,) = await now_live(rig)
        await rig.settle(failure(one, delay=delay))
        (two,) = await now_live(rig)
        assert two.id == second
        await rig.around.pass_time(61)
        assert await now_live(rig) == [], "it is due, and no seat is free"
        await rig.complete([two])
        (again,) = await now_live(rig)
        assert (again.id, again.attempt) == (first, 2)

    async def test_what_is_not_due_takes_no_seat(self, rig: Rig) -> None:
        await narrow(rig, 1)
        (late,) = await add_jobs(rig, 1, delay=timedelta(seconds=60))
        (now,) = await add_jobs(rig, 1)
        (one,) = await now_live(rig)
        assert one.id == now
        await rig.complete([one])
        assert await now_live(rig) == []
        await rig.around.pass_time(61)
        assert [two.id for two in await now_live(rig)] == [late]

    async def test_promoted_it_is_due(self, rig: Rig) -> None:
        await narrow(rig, 1)
        (late,) = await add_jobs(rig, 1, delay=timedelta(seconds=60))
        assert await now_live(rig) == []
        await rig.around.inspector.promote([late], "ann")
        assert [one.id for one in await now_live(rig)] == [late]

    async def test_the_death_of_its_worker_keeps_the_seat(self, rig: Rig) -> None:
        await narrow(rig, 1)
        first, second = await add_jobs(rig, 2)
        (one,) = await now_live(rig)
        await rig.bury(rig.ann)
        (again,) = await now_live(rig, worker=rig.bob)
        assert again.id == first
        assert await rig.complete([one]) == set(), "who was buried settles nothing"
        assert await now_live(rig, worker=rig.bob) == []
        await rig.complete([again], worker=rig.bob)
        assert [two.id for two in await now_live(rig, worker=rig.bob)] == [second]

    async def test_a_settle_that_is_repeated_frees_one_seat(self, rig: Rig) -> None:
        await narrow(rig, 1)
        ids = await add_jobs(rig, 3)
        (one,) = await now_live(rig)
        for _ in range(3):
            await rig.complete([one])
        assert [two.id for two in await now_live(rig)] == [ids[1]]
        assert await now_live(rig) == []

    @pytest.mark.parametrize("outcome", [Cancel("c"), Dead("d")])
    async def test_every_end_frees_it(self, rig: Rig, outcome: Outcome) -> None:
        await narrow(rig, 1)
        _, second = await add_jobs(rig, 2)
        (one,) = await now_live(rig)
        await rig.settle(Ending(one, steered(one, outcome, 0.1, timedelta())))
        assert [two.id for two in await now_live(rig)] == [second]

    async def test_cancelled_in_line_and_with_a_seat(self, rig: Rig) -> None:
        await narrow(rig, 1)
        ids = await add_jobs(rig, 4)
        await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
        await rig.around.inspector.cancel([ids[0], ids[2]], "ann")
        assert await run_all(rig) == [ids[1], ids[3]]

    async def test_who_is_replayed_needs_a_seat_again(self, rig: Rig) -> None:
        await narrow(rig, 1)
        first, second = await add_jobs(rig, 2)
        (one,) = await now_live(rig)
        await rig.settle(Ending(one, steered(one, Dead("d"), 0.1, timedelta())))
        (two,) = await now_live(rig)
        await rig.around.inspector.replay([first], "ann")
        assert await now_live(rig) == []
        await rig.complete([two])
        assert [again.id for again in await now_live(rig)] == [first]
        assert two.id == second

    async def test_another_width(self, rig: Rig) -> None:
        await narrow(rig, 1)
        ids = await add_jobs(rig, 8)
        seats = rig.engine.limiter.seats
        taken = await now_live(rig)
        await seats.set("narrow", 3)
        taken += await now_live(rig)
        assert [one.id for one in taken] == ids[:3]
        await seats.set("narrow", 2)
        await rig.complete(taken[:1])
        assert await now_live(rig) == [], "two run still"
        await narrow(rig, 8)
        await rig.complete(taken[1:2])
        (fourth,) = await now_live(rig)
        assert fourth.id == ids[3], "what the operator says wins"
        await seats.set("narrow", 0)
        await rig.complete([taken[2], fourth])
        assert await now_live(rig) == []
        await seats.delete("narrow")
        assert [one.id for one in await now_live(rig)] == ids[4:]

    async def test_another_width_of_a_key(self, rig: Rig) -> None:
        await narrow(rig, 1, key="{to}")
        ids = await add_jobs(rig, 4)
        others = await add_jobs(rig, 2, payload=b'{"to": "b"}')
        await rig.engine.limiter.seats.set("narrow", 3, "a")
        assert {one.id for one in await now_live(rig)} == {*ids[:3], others[0]}

    async def test_a_paused_queue_takes_no_seats(self, rig: Rig) -> None:
        await narrow(rig, 1, queue=OTHER, task=TASK)
        await rig.around.inspector.pause(QUEUE)
        (first,) = await add_jobs(rig, 1)
        (second,) = await add_jobs(rig, 1, queue=OTHER)
        (one,) = await now_live(rig, queue=OTHER)
        assert one.id == second
        await rig.complete([one])
        assert await now_live(rig) == []
        await rig.around.inspector.resume(QUEUE)
        assert [two.id for two in await now_live(rig)] == [first]
