"""A take gives what is due, each job to one worker, under a token that nobody had before."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from headrace.model.job import Delivery
from headrace.model.state import State
from headrace.testing.engines.rig import OTHER, QUEUE, Rig, failure


class Takes:
    """Tests of take, release and extend."""

    async def test_no_job_is_given_twice(self, rig: Rig) -> None:
        ids = await rig.insert(30)
        mine = await rig.take(20)
        yours = await rig.take(20, worker=rig.bob)
        assert (len(mine), len(yours)) == (20, 10)
        assert {one.id for one in [*mine, *yours]} == set(ids)
        assert await rig.take() == []

    async def test_jobs_of_a_level_come_in_the_order_they_were_inserted(self, rig: Rig) -> None:
        ids = await rig.insert(9)
        got = await rig.take(4) + await rig.take(20)
        assert [one.id for one in got] == ids

    async def test_a_queue_gives_only_its_own(self, rig: Rig) -> None:
        await rig.insert(2)
        assert await rig.take(queue=OTHER) == []
        assert {one.queue for one in await rig.take()} == {QUEUE}

    async def test_a_queue_is_ripe_while_a_take_of_it_would_give_something(self, rig: Rig) -> None:
        assert await rig.engine.ripe([QUEUE, OTHER]) == set()
        await rig.insert(2)
        await rig.around.carry()
        assert await rig.engine.ripe([QUEUE, OTHER]) == {QUEUE}
        assert await rig.engine.ripe([OTHER]) == set()
        await rig.around.inspector.pause(QUEUE)
        assert await rig.engine.ripe([QUEUE, OTHER]) == set()
        await rig.around.inspector.resume(QUEUE)
        assert len(await rig.take(2)) == 2
        assert await rig.engine.ripe([QUEUE, OTHER]) == set()

    async def test_a_delivery_names_its_call(self, rig: Rig) -> None:
        await rig.insert(2)
        first, second = [*await rig.take(1), *await rig.take(1)]
        assert (first.call, second.call) == (1, 2)

    async def test_concurrent_takers_share_no_job(self, rig: Rig) -> None:
        ids = await rig.insert(200)
        workers = [await rig.hire() for _ in range(8)]

        async def drain(worker: UUID) -> list[Delivery]:
            got = []
            while batch := await rig.take(5, worker=worker):
                got += batch
            return got

        shares = await asyncio.gather(*map(drain, workers))
        got = [one for share in shares for one in share]
        got += await rig.take(200)
        assert len(got) == 200
        assert {one.id for one in got} == set(ids)

    async def test_every_run_has_a_token_of_its_own_and_generations_rise(self, rig: Rig) -> None:
        (job_id,) = await rig.insert(max_attempts=20)
        gens = []
        for turn in range(6):
            worker = await rig.hire()
            (unstarted,) = await rig.take(worker=worker)
            await rig.engine.release(worker, [unstarted])
            (one,) = await rig.take(worker=worker)
            gens.append(one.gen)
            if turn % 2:
                await rig.settle(failure(one), worker=worker)
            else:
                await rig.bury(worker)
        assert gens == sorted(set(gens))
        assert (await rig.get(job_id)).gen >= gens[-1]

    @pytest.mark.parametrize("by", ["delay", "run_at"])
    async def test_what_is_delayed_comes_when_it_is_due(self, rig: Rig, by: str) -> None:
        _needs_delays(rig, 60)
        if by == "delay":
            (job_id,) = await rig.insert(delay=timedelta(seconds=60))
        else:
            (job_id,) = await rig.insert(run_at=datetime.now(UTC) + timedelta(seconds=60))
        assert await rig.take() == []
        assert (await rig.get(job_id)).state is State.SCHEDULED
        await rig.around.pass_time(50)
        assert await rig.take() == []
        await rig.around.pass_time(11)
        assert [one.id for one in await rig.take()] == [job_id]

    async def test_what_is_due_overtakes_what_is_delayed(self, rig: Rig) -> None:
        _needs_delays(rig, 60)
        (later,) = await rig.insert(delay=timedelta(seconds=60))
        (now,) = await rig.insert()
        assert [one.id for one in await rig.take()] == [now]
        await rig.around.pass_time(61)
        assert [one.id for one in await rig.take()] == [later]

    async def test_what_is_released_costs_no_attempt(self, rig: Rig) -> None:
        one = await rig.given(max_attempts=1)
        await rig.engine.release(rig.ann, [one])
        await rig.engine.release(rig.ann, [one])
        job = await rig.get(one.id)
        assert (job.state, job.attempt, job.failures, job.crashes) == (State.AVAILABLE, 0, 0, 0)
        (again,) = await rig.take(worker=rig.bob)
        assert (again.id, again.attempt) == (one.id, 1)
        assert await rig.complete([again], worker=rig.bob) == {again.token}

    async def test_a_release_of_anything_else_does_nothing(self, rig: Rig) -> None:
        held = await rig.given()
        await rig.engine.release(rig.bob, [held])
        assert await rig.take(worker=rig.bob) == []
        await rig.complete([held])
        await rig.engine.release(rig.ann, [held])
        assert await rig.take() == []
        assert (await rig.get(held.id)).state is State.COMPLETED

    async def test_a_late_release_leaves_the_next_run_alone(self, rig: Rig) -> None:
        old = await rig.given()
        await rig.engine.release(rig.ann, [old])
        (new,) = await rig.take()
        await rig.engine.release(rig.ann, [old])
        assert await rig.take(worker=rig.bob) == []
        assert await rig.complete([new]) == {new.token}

    async def test_extend_names_what_is_still_the_workers_own(self, rig: Rig) -> None:
        await rig.insert(3)
        held = await rig.take()
        await rig.complete(held[:1])
        await rig.settle(failure(held[1]))
        assert await rig.engine.extend(held) == {held[2].id}
        again = await rig.take(worker=rig.bob)
        assert len(again) == 1
        assert await rig.engine.extend(held) == {held[2].id}
        assert await rig.engine.extend(again) == {one.id for one in again}
        assert await rig.engine.extend([]) == set()

    async def test_get_leaves_out_what_is_unknown_and_outcomes_what_goes_on(self, rig: Rig) -> None:
        ids = await rig.insert(3)
        held = await rig.take(2)
        await rig.complete(held[:1])
        asked = [*ids, uuid4(), rig.engine.new_id()]
        assert {job.id for job in await rig.engine.get(asked)} == set(ids)
        assert [job.id for job in await rig.engine.outcomes(asked)] == [held[0].id]
        assert await rig.engine.get([]) == await rig.engine.outcomes([]) == []


def _needs_delays(rig: Rig, seconds: float) -> None:
    longest = rig.around.capabilities.max_delay
    if longest is not None and longest < seconds:
        pytest.skip(f"the engine declares that it delays {longest:.0f} s at most")
