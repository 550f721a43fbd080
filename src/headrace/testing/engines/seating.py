"""Concurrency limits: no more live jobs of a line than it has seats, whatever becomes of them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from headrace.model.concurrency import ConcurrencyLimit, LineRule, LinesSaid
from headrace.model.job import CLAIM, Delivery, Ending, NewJob
from headrace.model.links import Link, Links
from headrace.model.outcome import Cancel, Dead, Outcome
from headrace.model.rate import Ask, RateLimit, Use
from headrace.model.state import State
from headrace.model.unique import OnConflict, Unique
from headrace.model.verdict import steered
from headrace.testing.engines.rig import OTHER, QUEUE, TASK, Rig, completion, failure


class Seating:
    """Tests of concurrency limits, in both modes."""

    async def test_no_more_than_there_are_seats(self, rig: Rig) -> None:
        await _limit(rig, 2)
        ids = await _insert(rig, 5)
        taken = await _taken(rig)
        assert [one.id for one in taken] == ids[:2]
        assert (await rig.get(ids[2])).state is State.BLOCKED
        assert await _taken(rig) == [], "while they run"
        await rig.complete(taken[:1])
        assert [one.id for one in await _taken(rig)] == [ids[2]]

    async def test_all_of_them_run_in_the_end(self, rig: Rig) -> None:
        await _limit(rig, 2)
        ids = await _insert(rig, 7)
        assert await _drain(rig) == ids

    async def test_a_key_has_seats_of_its_own(self, rig: Rig) -> None:
        await _limit(rig, 1, key="{to}-{x}", defaults={"x": "d"})
        payloads = [b'{"to": "a"}', b'{"to": "a"}', b'{"to": 7, "x": "y"}', b'{"to": "a", "x": 1}']
        ids = [(await _insert(rig, 1, payload=one))[0] for one in payloads]
        assert {one.id for one in await _taken(rig)} == {ids[0], ids[2], ids[3]}
        _, lines = await rig.engine.limiter.seats.limit("narrow")
        assert [(one.key, one.taken, one.standing) for one in lines] == [
            ("7-y", 1, 0),
            ("a-1", 1, 0),
            ("a-d", 1, 1),
        ]

    async def test_a_job_says_its_key_itself(self, rig: Rig) -> None:
        await _limit(rig, 1, key="{to}")
        said = [{"limits": {"key": key}} for key in ("a", "b", "b")]
        ids = [(await _insert(rig, 1, headers=one))[0] for one in said]
        assert {one.id for one in await _taken(rig)} == set(ids[:2])

    async def test_a_queue_and_a_task_share_a_limit(self, rig: Rig) -> None:
        await _limit(rig, 1, queue=OTHER, task=TASK)
        (first,) = await _insert(rig, 1)
        (second,) = await _insert(rig, 1, queue=OTHER)
        (one,) = await _taken(rig)
        assert one.id == first
        assert await _taken(rig, queue=OTHER) == []
        await rig.complete([one])
        assert [two.id for two in await _taken(rig, queue=OTHER)] == [second]

    async def test_all_its_seats_or_none(self, rig: Rig) -> None:
        """Who waits for one line holds no seat in another, and holds up nobody there."""
        await _say(rig, [ConcurrencyLimit("all", 2), ConcurrencyLimit("each", 1, key="{to}")])
        a = await _insert(rig, 3, payload=b'{"to": "a"}')
        b = await _insert(rig, 2, payload=b'{"to": "b"}')
        taken = await _taken(rig)
        assert {one.id for one in taken} == {a[0], b[0]}
        await rig.complete([one for one in taken if one.id == b[0]])
        assert [one.id for one in await _taken(rig)] == [b[1]]
        assert {*await _drain(rig)} == set(), "the last two run"

    async def test_the_urgent_first(self, rig: Rig) -> None:
        await _limit(rig, 1)
        (first, last) = await _insert(rig, 2)
        (urgent,) = await _insert(rig, 1, priority=1)
        (moved,) = await _insert(rig, 1)
        await rig.around.inspector.reprioritise([moved], 2, "ann")
        assert await _drain(rig) == [first, urgent, moved, last]

    @pytest.mark.parametrize("delay", [0.0, 60.0])
    async def test_who_retries_gives_its_seat_up_until_it_is_due(
        self, rig: Rig, delay: float
    ) -> None:
        await _limit(rig, 1)
        first, second = await _insert(rig, 2)
        (one,) = await _taken(rig)
        await rig.settle(failure(one, delay=delay))
        (two,) = await _taken(rig)
        assert two.id == second
        await rig.around.pass_time(61)
        assert await _taken(rig) == [], "it is due, and no seat is free"
        await rig.complete([two])
        (again,) = await _taken(rig)
        assert (again.id, again.attempt) == (first, 2)

    async def test_what_is_not_due_takes_no_seat(self, rig: Rig) -> None:
        await _limit(rig, 1)
        (late,) = await _insert(rig, 1, delay=timedelta(seconds=60))
        (now,) = await _insert(rig, 1)
        (one,) = await _taken(rig)
        assert one.id == now
        await rig.complete([one])
        assert await _taken(rig) == []
        await rig.around.pass_time(61)
        assert [two.id for two in await _taken(rig)] == [late]

    async def test_promoted_it_is_due(self, rig: Rig) -> None:
        await _limit(rig, 1)
        (late,) = await _insert(rig, 1, delay=timedelta(seconds=60))
        assert await _taken(rig) == []
        await rig.around.inspector.promote([late], "ann")
        assert [one.id for one in await _taken(rig)] == [late]

    async def test_the_death_of_its_worker_keeps_the_seat(self, rig: Rig) -> None:
        await _limit(rig, 1)
        first, second = await _insert(rig, 2)
        (one,) = await _taken(rig)
        await rig.bury(rig.ann)
        (again,) = await _taken(rig, worker=rig.bob)
        assert again.id == first
        assert await rig.complete([one]) == set(), "who was buried settles nothing"
        assert await _taken(rig, worker=rig.bob) == []
        await rig.complete([again], worker=rig.bob)
        assert [two.id for two in await _taken(rig, worker=rig.bob)] == [second]

    async def test_a_settle_that_is_repeated_frees_one_seat(self, rig: Rig) -> None:
        await _limit(rig, 1)
        ids = await _insert(rig, 3)
        (one,) = await _taken(rig)
        for _ in range(3):
            await rig.complete([one])
        assert [two.id for two in await _taken(rig)] == [ids[1]]
        assert await _taken(rig) == []

    @pytest.mark.parametrize("outcome", [Cancel("c"), Dead("d")])
    async def test_every_end_frees_it(self, rig: Rig, outcome: Outcome) -> None:
        await _limit(rig, 1)
        _, second = await _insert(rig, 2)
        (one,) = await _taken(rig)
        await rig.settle(Ending(one, steered(one, outcome, 0.1, timedelta())))
        assert [two.id for two in await _taken(rig)] == [second]

    async def test_cancelled_in_line_and_with_a_seat(self, rig: Rig) -> None:
        await _limit(rig, 1)
        ids = await _insert(rig, 4)
        await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
        await rig.around.inspector.cancel([ids[0], ids[2]], "ann")
        assert await _drain(rig) == [ids[1], ids[3]]

    async def test_who_is_replayed_needs_a_seat_again(self, rig: Rig) -> None:
        await _limit(rig, 1)
        first, second = await _insert(rig, 2)
        (one,) = await _taken(rig)
        await rig.settle(Ending(one, steered(one, Dead("d"), 0.1, timedelta())))
        (two,) = await _taken(rig)
        await rig.around.inspector.replay([first], "ann")
        assert await _taken(rig) == []
        await rig.complete([two])
        assert [again.id for again in await _taken(rig)] == [first]
        assert two.id == second

    async def test_another_width(self, rig: Rig) -> None:
        await _limit(rig, 1)
        ids = await _insert(rig, 8)
        seats = rig.engine.limiter.seats
        taken = await _taken(rig)
        await seats.set("narrow", 3)
        taken += await _taken(rig)
        assert [one.id for one in taken] == ids[:3]
        await seats.set("narrow", 2)
        await rig.complete(taken[:1])
        assert await _taken(rig) == [], "two run still"
        await _limit(rig, 8)
        await rig.complete(taken[1:2])
        (fourth,) = await _taken(rig)
        assert fourth.id == ids[3], "what the operator says wins"
        await seats.set("narrow", 0)
        await rig.complete([taken[2], fourth])
        assert await _taken(rig) == []
        await seats.delete("narrow")
        assert [one.id for one in await _taken(rig)] == ids[4:]

    async def test_another_width_of_a_key(self, rig: Rig) -> None:
        await _limit(rig, 1, key="{to}")
        ids = await _insert(rig, 4)
        others = await _insert(rig, 2, payload=b'{"to": "b"}')
        await rig.engine.limiter.seats.set("narrow", 3, "a")
        assert {one.id for one in await _taken(rig)} == {*ids[:3], others[0]}

    async def test_a_paused_queue_takes_no_seats(self, rig: Rig) -> None:
        await _limit(rig, 1, queue=OTHER, task=TASK)
        await rig.around.inspector.pause(QUEUE)
        (first,) = await _insert(rig, 1)
        (second,) = await _insert(rig, 1, queue=OTHER)
        (one,) = await _taken(rig, queue=OTHER)
        assert one.id == second
        await rig.complete([one])
        assert await _taken(rig) == []
        await rig.around.inspector.resume(QUEUE)
        assert [two.id for two in await _taken(rig)] == [first]

    async def test_raw_sql_is_under_it_too(self, rig: Rig) -> None:
        await _limit(rig, 1)
        async with rig.around.connection() as connection:
            for _ in range(2):
                await connection.execute("SELECT headrace_enqueue($1)", f'{{"task": "{TASK}"}}')
        assert len(await _taken(rig)) == 1

    async def test_an_insert_waits_for_nobody(self, rig: Rig) -> None:
        """Neither does whoever gives seats wait for an insert that is not committed."""
        await _limit(rig, 1)
        early, late = rig.job(), rig.job()
        async with rig.around.connection() as connection:
            begun = connection.transaction()
            await begun.start()
            await rig.engine.insert([early], connection)
            await asyncio.wait_for(rig.engine.insert([late]), 10)
            (one,) = await _taken(rig)
            assert one.id == late.id
            await begun.commit()
        assert await _taken(rig) == []
        await rig.complete([one])
        assert [two.id for two in await _taken(rig)] == [early.id]

    async def test_what_was_rolled_back_takes_no_seat(self, rig: Rig) -> None:
        await _limit(rig, 1)
        async with rig.around.connection() as connection:
            begun = connection.transaction()
            await begun.start()
            await rig.engine.insert([rig.job()], connection)
            await begun.rollback()
        ids = await _insert(rig, 2)
        assert await _drain(rig) == ids

    async def test_a_repeated_insert_changes_nothing_in_line(self, rig: Rig) -> None:
        await _limit(rig, 1)
        jobs = [rig.job(), rig.job()]
        for _ in range(2):
            await rig.engine.insert(jobs)
        assert await _drain(rig) == [job.id for job in jobs]
        await rig.engine.insert(jobs)
        assert await _drain(rig) == []

    async def test_in_order_and_one_at_a_time(self, rig: Rig) -> None:
        """A job waits for its turn under an ordering key first, and then for a seat."""
        await _limit(rig, 1)
        (other,) = await _insert(rig, 1)
        ordered = [rig.job(links=Links(order_key="k")) for _ in range(3)]
        await rig.engine.insert(ordered)
        (last,) = await _insert(rig, 1)
        (one,) = await _taken(rig)
        assert one.id == other
        await rig.complete([one])
        (two,) = await _taken(rig)
        assert two.id == ordered[0].id
        await rig.settle(failure(two, delay=60))
        (three,) = await _taken(rig)
        assert three.id == last, "the next of the key has not its turn"
        await rig.around.pass_time(61)
        await rig.complete([three])
        assert await _drain(rig) == [job.id for job in ordered]

    async def test_a_child_stands_in_line_once_its_parents_are_done(self, rig: Rig) -> None:
        await _limit(rig, 1)
        parent = rig.job(queue=OTHER)
        child = rig.job(links=Links(after=(Link(parent.id),)))
        await rig.engine.insert([parent, child])
        (next_one,) = await _insert(rig, 1)
        (first,) = await _taken(rig, queue=OTHER)
        assert first.id == parent.id
        assert await _taken(rig) == [], "the parent is under the limit as well"
        await rig.complete([first])
        assert await _drain(rig) == [child.id, next_one]

    @pytest.mark.parametrize("on_conflict", ["replace", "debounce"])
    async def test_who_stands_in_line_can_be_replaced(
        self, rig: Rig, on_conflict: OnConflict
    ) -> None:
        await _limit(rig, 1)
        await _insert(rig, 1)
        (one,) = await _taken(rig)
        unique = Unique(key="k", until="queued", on_conflict=on_conflict)

        async def insert(payload: bytes) -> UUID:
            job = rig.job(unique=unique, payload=payload, headers={CLAIM: True}, delay=_NOW)
            return (await rig.engine.insert([job]))[0].id

        first = await insert(b'{"to": "1"}')
        assert await insert(b'{"to": "2"}') == first
        await rig.complete([one])
        (two,) = await _taken(rig)
        assert (two.id, two.payload.replace(b" ", b"")) == (first, b'{"to":"2"}')

    async def test_debounced_with_a_seat_it_waits_without(self, rig: Rig) -> None:
        await _limit(rig, 1)
        unique = Unique(key="k", until="queued", on_conflict="debounce")

        def job(delay: float) -> NewJob:
            return rig.job(unique=unique, headers={CLAIM: True}, delay=timedelta(seconds=delay))

        ((first,), _) = await rig.engine.insert([job(0)]), await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
        (other,) = await _insert(rig, 1)
        await rig.engine.insert([job(60)])
        (one,) = await _taken(rig)
        assert one.id == other
        await rig.complete([one])
        assert await _taken(rig) == []
        await rig.around.pass_time(61)
        assert [two.id for two in await _taken(rig)] == [first.id]

    async def test_put_off_by_a_rate_it_gives_its_seat_up(self, rig: Rig) -> None:
        await _limit(rig, 1)
        first, second = await _insert(rig, 2)
        (one,) = await _taken(rig)
        limiter = rig.engine.limiter
        await limiter.declare([RateLimit("scarce", "1/day")])
        use = Use("scarce", "", 1)
        await limiter.rest([use], timedelta(seconds=60))
        assert [answer.put_off for answer in await limiter.admit([Ask(one, (use,))])] == [True]
        rig.engine.settled(rig.ann, one)
        (two,) = await _taken(rig)
        assert (one.id, two.id) == (first, second)
        assert (await limiter.admit([Ask(two, (use,))]))[0].put_off
        rig.engine.settled(rig.ann, two)
        assert await _taken(rig) == []
        assert await limiter.set("scarce", RateLimit("x", "9/day").rates) == 2
        (again,) = await _taken(rig)
        assert again.id in (first, second)
        await rig.complete([again])
        assert {again.id, *await _drain(rig)} == {first, second}

    async def test_the_loss_of_the_lane_frees_no_seat(self, rig: Rig) -> None:
        await _limit(rig, 2)
        ids = await _insert(rig, 5)
        (one, _) = await _taken(rig)
        await rig.complete([one])
        await rig.around.lose_lane()
        assert {*await _drain(rig)} >= set(ids[2:])

    async def test_many_at_once(self, rig: Rig) -> None:
        await _limit(rig, 1500)
        await _insert(rig, 2100)
        await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
        _, (line,) = await rig.engine.limiter.seats.limit("narrow")
        assert (line.taken, line.standing) == (1500, 600)


_NOW = timedelta()


async def _limit(
    rig: Rig,
    width: int,
    *,
    key: str | None = None,
    task: str | None = TASK,
    queue: str | None = None,
    defaults: dict[str, Any] | None = None,
) -> None:
    limit = ConcurrencyLimit("narrow", width, key=key)
    rules = [LineRule.of(limit, task=task)] if task else []
    rules += [LineRule.of(limit, queue=queue)] if queue else []
    await rig.engine.limiter.seats.declare(
        LinesSaid(
            limits={limit.name: width},
            tasks=(TASK,),
            queues=(QUEUE, OTHER),
            rules=tuple(rules),
            defaults={TASK: defaults or {}},
        )
    )


async def _say(rig: Rig, limits: Sequence[ConcurrencyLimit]) -> None:
    await rig.engine.limiter.seats.declare(
        LinesSaid(
            limits={one.name: one.width for one in limits},
            tasks=(TASK,),
            rules=tuple(LineRule.of(one, task=TASK) for one in limits),
        )
    )


async def _insert(rig: Rig, n: int, **fields: Any) -> list[UUID]:  # noqa: ANN401 - as in Rig.job
    jobs = [rig.job(**fields) for _ in range(n)]
    inserted = await rig.engine.insert(jobs)
    assert all(one.blocked and one.seated for one in inserted)
    return [job.id for job in jobs]


async def _taken(rig: Rig, worker: UUID | None = None, queue: str = QUEUE) -> list[Delivery]:
    """What may run once all that happened was looked at, in the order in which it came."""
    await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
    return sorted(await rig.take(worker=worker, queue=queue), key=lambda one: one.id)


async def _drain(rig: Rig) -> list[UUID]:
    """Complete whatever may run, one batch after the other; the order in which they ran."""
    ran: list[UUID] = []
    while taken := await _taken(rig):
        ran += [one.id for one in taken]
        await rig.settle(*map(completion, taken))
    return ran
