"""A worker that is silent loses what it holds; one that beats keeps it."""

import asyncio

import pytest

from headrace.model.state import State
from headrace.ports.lane import LEASE
from headrace.testing.engines.rig import OTHER, Rig, failure, tokens


class Leases:
    """Tests of beat, leave and of what becomes of the silent."""

    async def test_what_a_dead_worker_ran_is_run_again(self, rig: Rig) -> None:
        old = await rig.given()
        await rig.bury(rig.ann)
        job = await rig.get(old.id)
        assert (job.state, job.crashes, job.failures) == (State.AVAILABLE, 1, 0)
        (new,) = await rig.take(worker=rig.bob)
        assert (new.id, new.attempt, new.crashes) == (old.id, 2, 1)
        assert new.gen > old.gen
        assert await rig.complete([old]) == set()
        assert await rig.engine.extend([old]) == set()
        assert await rig.complete([new], worker=rig.bob) == {new.token}

    async def test_the_only_attempt_is_never_given_twice(self, rig: Rig) -> None:
        one = await rig.given(max_attempts=1)
        await rig.bury(rig.ann)
        assert await rig.take(worker=rig.bob) == []
        job = await rig.get(one.id)
        assert (job.state, job.crashes, job.attempt) == (State.DEAD, 1, 1)
        assert job.error is not None
        assert job.error["type"] == "WorkerLost"
        assert await rig.complete([one]) == set()

    async def test_what_a_dead_worker_took_ahead_costs_no_attempt(self, rig: Rig) -> None:
        await rig.insert(max_attempts=1)
        await rig.insert(max_attempts=2)
        taken = await rig.take(ahead=True)
        await rig.bury(rig.ann)
        again = await rig.take(worker=rig.bob)
        assert {one.id for one in again} == {one.id for one in taken}
        assert [one.attempt for one in again] == [1, 1]
        assert await rig.complete(taken) == set()
        assert await rig.complete(again, worker=rig.bob) == tokens(again)

    async def test_what_was_taken_ahead_counts_once_it_is_charged(self, rig: Rig) -> None:
        (only,), (one_of_two,) = await rig.insert(max_attempts=1), await rig.insert(max_attempts=2)
        ahead = await rig.take(ahead=True)
        for _ in range(2):
            await rig.charge(ahead[0])
        await rig.bury(rig.ann)
        (again,) = await rig.take(worker=rig.bob)
        assert (again.id, again.attempt) == (one_of_two, 2)
        assert (await rig.get(only)).state is State.DEAD

    async def test_only_the_last_call_ahead_is_spared(self, rig: Rig) -> None:
        first, second = await rig.insert(2, max_attempts=1)
        (charged,) = await rig.take(1, ahead=True)
        await rig.charge(charged)
        (spared,) = await rig.take(1, ahead=True)
        await rig.bury(rig.ann)
        assert (charged.id, spared.id) == (first, second)
        (again,) = await rig.take(worker=rig.bob)
        assert (again.id, again.attempt) == (second, 1)

    async def test_calls_ahead_of_two_queues_are_charged_apart(self, rig: Rig) -> None:
        (here,), (there,) = await rig.insert(), await rig.insert(queue=OTHER)
        await rig.take(ahead=True)
        (charged,) = await rig.take(queue=OTHER, ahead=True)
        await rig.charge(charged)
        await rig.bury(rig.ann)
        assert [(await rig.get(one)).crashes for one in (here, there)] == [0, 1]

    async def test_what_was_taken_ahead_is_released_like_the_rest(self, rig: Rig) -> None:
        (job_id,) = await rig.insert(max_attempts=1)
        ahead = await rig.take(ahead=True)
        await rig.engine.release(rig.ann, ahead)
        (again,) = await rig.take(worker=rig.bob)
        assert (again.id, again.attempt) == (job_id, 1)

    async def test_a_crash_of_its_worker_costs_a_job_no_attempt(self, rig: Rig) -> None:
        (job_id,) = await rig.insert(max_attempts=2)
        for attempt in (1, 2, 3):
            worker = await rig.hire()
            (one,) = await rig.take(worker=worker)
            assert one.attempt == attempt
            if attempt == 2:
                await rig.bury(worker)
            else:
                await rig.settle(failure(one), worker=worker)
        job = await rig.get(job_id)
        assert (job.state, job.failures, job.crashes) == (State.DEAD, 2, 1)

    async def test_too_many_crashes_end_a_job(self, rig: Rig) -> None:
        (job_id,) = await rig.insert(max_attempts=2)
        for crashes in (0, 1, 2):
            worker = await rig.hire()
            (one,) = await rig.take(worker=worker)
            assert one.crashes == crashes
            await rig.bury(worker)
        job = await rig.get(job_id)
        assert (job.state, (job.error or {})["type"]) == (State.DEAD, "Poison")
        assert await rig.take() == []

    async def test_a_task_may_ask_for_another_run_after_a_crash(self, rig: Rig) -> None:
        (job_id,) = await rig.insert(max_attempts=1, rerun_on_crash=True)
        for crashes in (0, 1, 2):
            worker = await rig.hire()
            (one,) = await rig.take(worker=worker)
            assert one.crashes == crashes
            await rig.bury(worker)
        assert (await rig.get(job_id)).state is State.DEAD
        assert await rig.take() == []

    async def test_a_reaped_identity_is_void_for_ever(self, rig: Rig) -> None:
        held = await rig.given()
        await rig.bury(rig.ann)
        for _ in range(2):
            assert not (await rig.beat(rig.ann, [held])).alive
        await rig.engine.register(rig.ann, "here", 1, {}, LEASE)
        assert not (await rig.beat(rig.ann)).alive
        assert (await rig.beat(rig.bob)).alive

    async def test_what_a_reaped_worker_still_takes_comes_back(self, rig: Rig) -> None:
        await rig.bury(rig.ann)
        (job_id,) = await rig.insert()
        await rig.take(worker=rig.ann)
        await rig.bury(await rig.hire())
        (one,) = await rig.take(worker=rig.bob)
        assert one.id == job_id

    async def test_a_worker_that_beats_keeps_what_it_holds(self, rig: Rig) -> None:
        held = await rig.given()
        await rig.bury(rig.bob)
        beat = await rig.beat(rig.ann, [held])
        assert (beat.alive, beat.lost) == (True, frozenset())
        assert await rig.complete([held]) == {held.token}

    @pytest.mark.parametrize("max_attempts", [1, 3])
    async def test_what_came_with_a_lost_reply_goes_back_without_blame(
        self, rig: Rig, max_attempts: int
    ) -> None:
        (job_id,) = await rig.insert(max_attempts=max_attempts)
        assert len(await rig.take()) == 1
        assert (await rig.beat(rig.ann)).alive
        job = await rig.get(job_id)
        assert (job.state, job.crashes, job.failures) == (State.AVAILABLE, 0, 0)
        (again,) = await rig.take(worker=rig.bob)
        assert (again.id, again.attempt) == (job_id, 1)
        assert await rig.complete([again], worker=rig.bob) == {again.token}

    async def test_what_a_call_in_flight_gives_is_left_alone(self, rig: Rig) -> None:
        held = [await rig.given()]
        await rig.insert()
        in_flight = await rig.take()
        assert (await rig.beat(rig.ann, held, answered=1)).lost == frozenset()
        assert await rig.take(worker=rig.bob) == []
        assert (await rig.beat(rig.ann, [*held, *in_flight])).lost == frozenset()
        both = [*held, *in_flight]
        assert await rig.complete(both) == tokens(both)

    async def test_a_beat_tells_what_is_lost(self, rig: Rig) -> None:
        await rig.insert(5)
        held = await rig.take()
        await rig.complete(held[:1])
        await rig.settle(failure(held[1]))
        await rig.engine.release(rig.ann, held[2:3])
        await rig.take(1, worker=rig.bob)
        beat = await rig.beat(rig.ann, held)
        assert beat.alive
        assert beat.lost == tokens(held[:3])
        assert (await rig.beat(rig.ann, held[3:])).lost == frozenset()

    async def test_another_workers_jobs_are_left_alone_by_a_beat(self, rig: Rig) -> None:
        held = await rig.given()
        await rig.beat(rig.bob, answered=99)
        assert await rig.engine.extend([held]) == {held.id}

    async def test_who_leaves_is_gone(self, rig: Rig) -> None:
        await rig.engine.leave(rig.ann, [])
        await rig.engine.leave(rig.ann, [])
        assert not (await rig.beat(rig.ann)).alive

    async def test_what_a_worker_leaves_behind_comes_back_without_blame(self, rig: Rig) -> None:
        held = await rig.given(max_attempts=1)
        await rig.engine.leave(rig.ann, [])
        await rig.bury(rig.ann)
        (again,) = await rig.take(worker=rig.bob)
        assert (again.id, again.attempt, again.gen > held.gen) == (held.id, held.attempt, True)
        assert await rig.complete([held]) == set()

    async def test_what_a_worker_still_runs_as_it_leaves_counts_as_an_attempt(
        self, rig: Rig
    ) -> None:
        await rig.insert(2)
        runs, lost = await rig.take(2)
        await rig.engine.leave(rig.ann, [runs])
        await rig.bury(rig.ann)
        jobs = {job.id: job for job in await rig.engine.get([runs.id, lost.id])}
        assert (jobs[runs.id].crashes, jobs[lost.id].crashes) == (1, 0)
        error = jobs[runs.id].error
        assert (error or {})["type"] == "WorkerLost"
        assert jobs[lost.id].error is None
        again = await rig.take(2, worker=rig.bob)
        assert {one.id: one.attempt for one in again} == {runs.id: 2, lost.id: 1}

    async def test_an_older_generation_that_runs_as_its_worker_leaves_blames_no_later_one(
        self, rig: Rig
    ) -> None:
        old = await rig.given(max_attempts=1)
        await rig.engine.release(rig.ann, [old])
        assert len(await rig.take()) == 1
        await rig.engine.leave(rig.ann, [old])
        await rig.bury(rig.ann)
        (again,) = await rig.take(worker=rig.bob)
        assert (again.id, again.attempt) == (old.id, 1)

    async def test_what_cannot_be_ended_is_given_up_alone_and_once(self, rig: Rig) -> None:
        await rig.insert(2)
        stuck, other = await rig.take(2)
        for _ in range(2):
            assert await rig.engine.forfeit(rig.ann, stuck)
        beat = await rig.beat(rig.ann, [stuck, other])
        assert (beat.alive, beat.lost) == (True, frozenset([stuck.token]))
        (again,) = await rig.take(2, worker=rig.bob)
        assert (again.id, again.crashes, again.failures) == (stuck.id, 1, 0)
        assert await rig.complete([stuck, other]) == {other.token}
        assert await rig.complete([again], worker=rig.bob) == {again.token}

    async def test_the_only_attempt_is_dead_once_it_is_given_up(self, rig: Rig) -> None:
        one = await rig.given(max_attempts=1)
        assert await rig.engine.forfeit(rig.ann, one)
        job = await rig.get(one.id)
        assert (job.state, job.crashes) == (State.DEAD, 1)
        assert (job.error or {})["type"] == "Blocked"

    async def test_nobody_gives_up_the_jobs_of_another(self, rig: Rig) -> None:
        held = await rig.given()
        assert not await rig.engine.forfeit(rig.bob, held)
        assert await rig.complete([held]) == {held.token}

    async def test_a_registration_can_be_repeated(self, rig: Rig) -> None:
        held = await rig.given()
        await rig.engine.register(rig.ann, "here", 1, {}, LEASE)
        assert (await rig.beat(rig.ann, [held])).lost == frozenset()

    async def test_an_unknown_worker_has_no_lease(self, rig: Rig) -> None:
        assert not (await rig.beat(rig.job().id)).alive

    @pytest.mark.parametrize("round_", range(3))
    async def test_a_settlement_and_a_burial_at_once_end_an_attempt_once(
        self, rig: Rig, round_: int
    ) -> None:
        del round_
        await rig.insert(20)
        held = await rig.take(20)
        accepted, _ = await asyncio.gather(rig.complete(held), rig.bury(rig.ann))
        done = {job_id for job_id, _ in accepted}
        jobs = await rig.engine.get([one.id for one in held])
        assert {job.id for job in jobs if job.state is State.COMPLETED} == done
        again = await rig.take(20, worker=rig.bob)
        assert {one.id for one in again} == {one.id for one in held} - done
