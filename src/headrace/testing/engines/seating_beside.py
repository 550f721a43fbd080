"""Concurrency limits beside all else: transactions, order, flows, uniqueness, rates, the lane."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from headrace.model.job import CLAIM, NewJob
from headrace.model.links import Link, Links
from headrace.model.rate import Ask, RateLimit, Use
from headrace.model.unique import OnConflict, Unique
from headrace.testing.engines.rig import OTHER, TASK, Rig, failure
from headrace.testing.engines.seats import add_jobs, narrow, now_live, run_all


class SeatingBeside:
    """Tests of concurrency limits with what else holds jobs up, in both modes."""

    async def test_raw_sql_is_under_it_too(self, rig: Rig) -> None:
        await narrow(rig, 1)
        async with rig.around.connection() as connection:
            for _ in range(2):
                await connection.execute("SELECT headrace_enqueue($1)", f'{{"task": "{TASK}"}}')
        assert len(await now_live(rig)) == 1

    async def test_an_insert_waits_for_nobody(self, rig: Rig) -> None:
        """Neither does whoever gives seats wait for an insert that is not committed."""
        await narrow(rig, 1)
        early, late = rig.job(), rig.job()
        async with rig.around.connection() as connection:
            begun = connection.transaction()
            await begun.start()
            await rig.engine.insert([early], connection)
            await asyncio.wait_for(rig.engine.insert([late]), 10)
            (one,) = await now_live(rig)
            assert one.id == late.id
            await begun.commit()
        assert await now_live(rig) == []
        await rig.complete([one])
        assert [two.id for two in await now_live(rig)] == [early.id]

    async def test_what_was_rolled_back_takes_no_seat(self, rig: Rig) -> None:
        await narrow(rig, 1)
        async with rig.around.connection() as connection:
            begun = connection.transaction()
            await begun.start()
            await rig.engine.insert([rig.job()], connection)
            await begun.rollback()
        ids = await add_jobs(rig, 2)
        assert await run_all(rig) == ids

    async def test_a_repeated_insert_changes_nothing_in_line(self, rig: Rig) -> None:
        await narrow(rig, 1)
        jobs = [rig.job(), rig.job()]
        for _ in range(2):
            await rig.engine.insert(jobs)
        assert await run_all(rig) == [job.id for job in jobs]
        await rig.engine.insert(jobs)
        assert await run_all(rig) == []

    async def test_in_order_and_one_at_a_time(self, rig: Rig) -> None:
        """A job waits for its turn under an ordering key first, and then for a seat."""
        await narrow(rig, 1)
        (other,) = await add_jobs(rig, 1)
        ordered = [rig.job(links=Links(order_key="k")) for _ in range(3)]
        await rig.engine.insert(ordered)
        (last,) = await add_jobs(rig, 1)
        (one,) = await now_live(rig)
        assert one.id == other
        await rig.complete([one])
        (two,) = await now_live(rig)
        assert two.id == ordered[0].id
        await rig.settle(failure(two, delay=60))
        (three,) = await now_live(rig)
        assert three.id == last, "the next of the key has not its turn"
        await rig.around.pass_time(61)
        await rig.complete([three])
        assert await run_all(rig) == [job.id for job in ordered]

    async def test_a_child_stands_in_line_once_its_parents_are_done(self, rig: Rig) -> None:
        await narrow(rig, 1)
        parent = rig.job(queue=OTHER)
        child = rig.job(links=Links(after=(Link(parent.id),)))
        await rig.engine.insert([parent, child])
        (next_one,) = await add_jobs(rig, 1)
        (first,) = await now_live(rig, queue=OTHER)
        assert first.id == parent.id
        assert await now_live(rig) == [], "the parent is under the limit as well"
        await rig.complete([first])
        assert await run_all(rig) == [child.id, next_one]

    @pytest.mark.parametrize("on_conflict", ["replace", "debounce"])
    async def test_who_stands_in_line_can_be_replaced(
        self, rig: Rig, on_conflict: OnConflict
    ) -> None:
        await narrow(rig, 1)
        await add_jobs(rig, 1)
        (one,) = await now_live(rig)
        unique = Unique(key="k", until="queued", on_conflict=on_conflict)

        async def insert(payload: bytes) -> UUID:
            job = rig.job(unique=unique, payload=payload, headers={CLAIM: True}, delay=timedelta())
            return (await rig.engine.insert([job]))[0].id

        first = await insert(b'{"to": "1"}')
        assert await insert(b'{"to": "2"}') == first
        await rig.complete([one])
        (two,) = await now_live(rig)
        assert (two.id, two.payload.replace(b" ", b"")) == (first, b'{"to":"2"}')

    async def test_debounced_with_a_seat_it_waits_without(self, rig: Rig) -> None:
        await narrow(rig, 1)
        unique = Unique(key="k", until="queued", on_conflict="debounce")

        def job(delay: float) -> NewJob:
            return rig.job(unique=unique, headers={CLAIM: True}, delay=timedelta(seconds=delay))

        ((first,), _) = await rig.engine.insert([job(0)]), await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
        (other,) = await add_jobs(rig, 1)
        await rig.engine.insert([job(60)])
        (one,) = await now_live(rig)
        assert one.id == other
        await rig.complete([one])
        assert await now_live(rig) == []
        await rig.around.pass_time(61)
        assert [two.id for two in await now_live(rig)] == [first.id]

    async def test_put_off_by_a_rate_it_gives_its_seat_up(self, rig: Rig) -> None:
        await narrow(rig, 1)
        first, second = await add_jobs(rig, 2)
        (one,) = await now_live(rig)
        limiter = rig.engine.limiter
        await limiter.declare([RateLimit("scarce", "1/day")])
        use = Use("scarce", "", 1)
        await limiter.rest([use], timedelta(seconds=60))
        assert [answer.put_off for answer in await limiter.admit([Ask(one, (use,))])] == [True]
        rig.engine.settled(rig.ann, one)
        (two,) = await now_live(rig)
        assert (one.id, two.id) == (first, second)
        assert (await limiter.admit([Ask(two, (use,))]))[0].put_off
        rig.engine.settled(rig.ann, two)
        assert await now_live(rig) == []
        assert await limiter.set("scarce", RateLimit("x", "9/day").rates) == 2
        (again,) = await now_live(rig)
        assert again.id in (first, second)
        await rig.complete([again])
        assert {again.id, *await run_all(rig)} == {first, second}

    async def test_the_loss_of_the_lane_frees_no_seat(self, rig: Rig) -> None:
        await narrow(rig, 2)
        ids = await add_jobs(rig, 5)
        (one, _) = await now_live(rig)
        await rig.complete([one])
        await rig.around.lose_lane()
        assert {*await run_all(rig)} >= set(ids[2:])

    async def test_many_at_once(self, rig: Rig) -> None:
        await narrow(rig, 1500)
        await add_jobs(rig, 2100)
        await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
        _, (line,) = await rig.engine.limiter.seats.limit("narrow")
        assert (line.taken, line.standing) == (1500, 600)
