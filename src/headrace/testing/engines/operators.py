"""What an operator asks for holds for the next take, and for a run that it came too late for."""

from datetime import timedelta
from uuid import UUID

from headrace.model.cancellation import Cancellation
from headrace.model.inspection import Answer, JobFilter
from headrace.model.job import Ending
from headrace.model.outcome import Dead
from headrace.model.state import State
from headrace.model.verdict import steered
from headrace.testing.engines.rig import OTHER, QUEUE, TASK, Rig, failure

_ACTOR = "tests:operator"


class Operators:
    """Tests of pause, cancel, promote, reprioritise, replay, delete, and of what is shown."""

    async def test_a_paused_queue_gives_nothing(self, rig: Rig) -> None:
        ids = await rig.insert(2)
        (elsewhere,) = await rig.insert(queue=OTHER)
        (held,) = await rig.take(1)
        assert await rig.around.inspector.pause(QUEUE)
        assert await rig.take() == []
        ids += await rig.insert()
        assert await rig.take() == []
        assert [one.id for one in await rig.take(queue=OTHER)] == [elsewhere]
        assert await rig.complete([held]) == {held.token}, "what runs goes on"
        assert await rig.around.inspector.resume(QUEUE)
        assert {one.id for one in await rig.take()} == set(ids) - {held.id}

    async def test_a_cancelled_job_is_never_given(self, rig: Rig) -> None:
        (one, other) = await rig.insert(2)
        assert await _cancel(rig, one) is Answer.DONE
        assert await _cancel(rig, one) is Answer.UNFIT
        assert [got.id for got in await rig.take()] == [other]
        (job,) = await rig.engine.outcomes([one, other])
        assert (job.id, job.state) == (one, State.CANCELLED)

    async def test_a_job_that_waits_for_its_next_run_can_be_cancelled(self, rig: Rig) -> None:
        one = await rig.given()
        await rig.engine.release(rig.ann, [one])
        assert await _cancel(rig, one.id) is Answer.DONE
        assert await rig.complete([one]) == set()
        await rig.engine.release(rig.ann, [one])
        assert await rig.take() == []
        assert (await rig.get(one.id)).state is State.CANCELLED

    async def test_a_job_that_runs_is_left_to_its_worker_which_is_asked(self, rig: Rig) -> None:
        one = await rig.given()
        assert (await rig.engine.beat(rig.ann, [one], one.call)).cancellations == ()
        assert await _cancel(rig, one.id) is Answer.ASKED
        beat = await rig.engine.beat(rig.ann, [one], one.call)
        assert beat.cancellations == (Cancellation(one.id, _ACTOR),)
        answers = await rig.around.inspector.reprioritise([one.id], 1, _ACTOR)
        assert answers == {one.id: Answer.RUNNING}
        assert await rig.complete([one]) == {one.token}
        assert await _cancel(rig, one.id) is Answer.UNFIT

    async def test_a_worker_is_shown_with_what_it_serves_and_runs(self, rig: Rig) -> None:
        await rig.engine.beat(rig.ann, [], 0, busy=5)
        fleet = await rig.around.inspector.fleet()
        (ann,) = [one for one in fleet.workers if one.id == rig.ann]
        assert (set(ann.queues), ann.slots, ann.busy) == ({QUEUE, OTHER}, 6, 5)
        assert ann.lease is not None
        assert 0 <= ann.silent < ann.lease
        await rig.engine.beat(rig.ann, [], 0, busy=500)
        (ann,) = [one for one in (await rig.around.inspector.fleet()).workers if one.id == rig.ann]
        assert ann.busy == 6, "what has ended and is not written yet needs no slot"
        await rig.engine.leave(rig.ann, [])
        assert rig.ann not in {one.id for one in (await rig.around.inspector.fleet()).workers}

    async def test_a_last_attempt_that_runs_is_left_to_its_worker(self, rig: Rig) -> None:
        one = await rig.given(max_attempts=1)
        assert await _cancel(rig, one.id) is Answer.ASKED
        assert await rig.complete([one]) == {one.token}

    async def test_a_job_that_failed_is_cancelled_before_it_is_acknowledged(self, rig: Rig) -> None:
        one = await rig.given()
        await rig.settle(failure(one))
        assert await _cancel(rig, one.id) is Answer.DONE
        assert await rig.take(worker=rig.bob) == []

    async def test_many_are_answered_each(self, rig: Rig) -> None:
        held = await rig.given()
        (waiting, ahead) = [*await rig.insert(), *await rig.insert(delay=timedelta(hours=1))]
        unknown = rig.engine.new_id()
        asked = [held.id, waiting, ahead, unknown]
        expected = [Answer.ASKED, Answer.DONE, Answer.DONE, Answer.MISSING]
        answers = await rig.around.inspector.cancel(asked, _ACTOR)
        assert answers == dict(zip(asked, expected, strict=True))
        assert await rig.take() == []

    async def test_what_runs_is_seen_to_run(self, rig: Rig) -> None:
        (one, other) = await rig.insert(2)
        (held,) = await rig.take(1)
        waiting = other if held.id == one else one
        inspector = rig.around.inspector
        assert (await inspector.get(held.id)).state is State.RUNNING
        assert (await inspector.get(waiting)).state is State.AVAILABLE
        for state, job_id in ((State.RUNNING, held.id), (State.AVAILABLE, waiting)):
            wanted = JobFilter(states=(state,), queue=QUEUE, task=TASK)
            page = await inspector.list_jobs(wanted, limit=5)
            assert [(job.id, job.state) for job in page.jobs] == [(job_id, state)]
            assert (await inspector.find(wanted, limit=5)).ids == (job_id,)
        elsewhere = JobFilter(states=(State.RUNNING,), queue=OTHER)
        assert (await inspector.list_jobs(elsewhere, limit=5)).jobs == ()
        counts = await inspector.queue(QUEUE)
        assert (counts.running, counts.available) == (1, 1)
        await rig.complete([held])
        counts = await inspector.queue(QUEUE)
        assert (counts.running, counts.available) == (0, 1)

    async def test_all_that_runs_is_listed_page_by_page(self, rig: Rig) -> None:
        ids = await rig.insert(5)
        assert len(await rig.take(4)) == 4
        wanted = JobFilter(states=(State.RUNNING,))
        seen, cursor = [], None
        while True:
            page = await rig.around.inspector.list_jobs(wanted, limit=2, before=cursor)
            seen += [job.id for job in page.jobs]
            cursor = page.cursor
            if cursor is None:
                break
        assert len(seen) == 4
        assert seen == sorted(seen, reverse=True)
        assert set(seen) < set(ids)

    async def test_a_reprioritised_job_is_given_once(self, rig: Rig) -> None:
        (job_id,) = await rig.insert()
        answers = await rig.around.inspector.reprioritise([job_id], 1, _ACTOR)
        assert answers == {job_id: Answer.DONE}
        (one,) = await rig.take()
        assert (one.id, one.priority) == (job_id, 1)
        assert await rig.take(worker=rig.bob) == []
        assert await rig.complete([one]) == {one.token}

    async def test_a_deleted_job_is_gone(self, rig: Rig) -> None:
        one = await rig.given()
        await rig.complete([one])
        (waiting,) = await rig.insert()
        answers = await rig.around.inspector.delete([one.id, waiting])
        assert answers == {one.id: Answer.DONE, waiting: Answer.UNFIT}
        assert await rig.engine.get([one.id]) == []
        assert [got.id for got in await rig.take()] == [waiting]

    async def test_a_promoted_job_is_due(self, rig: Rig) -> None:
        (one,) = await rig.insert(delay=timedelta(hours=1))
        assert await rig.take() == []
        assert (await rig.around.inspector.promote([one], _ACTOR))[one] is Answer.DONE
        assert [got.id for got in await rig.take()] == [one]

    async def test_a_replayed_job_begins_anew_once(self, rig: Rig) -> None:
        dead = await rig.given(max_attempts=1)
        hopeless = steered(dead, Dead("hopeless"), 0.0, timedelta())
        await rig.settle(Ending(dead, hopeless))
        answers = [await rig.around.inspector.replay([dead.id], _ACTOR) for _ in range(2)]
        assert [one[dead.id] for one in answers] == [Answer.DONE, Answer.UNFIT]
        await rig.complete([dead])
        await rig.engine.release(rig.ann, [dead])
        assert await rig.engine.extend([dead]) == set(), "the first life's token is void"
        assert (await rig.get(dead.id)).state is State.AVAILABLE
        (again,) = await rig.take(worker=rig.bob)
        assert (again.id, again.attempt) == (dead.id, 1)
        assert again.gen > dead.gen
        assert await rig.take() == []
        assert await rig.complete([again], worker=rig.bob) == {again.token}

    async def test_a_job_replayed_after_crashes_has_all_its_attempts(self, rig: Rig) -> None:
        (job_id,) = await rig.insert(max_attempts=2)
        for _ in range(3):
            worker = await rig.hire()
            assert len(await rig.take(worker=worker)) == 1
            await rig.bury(worker)
        assert (await rig.get(job_id)).state is State.DEAD
        await rig.around.inspector.replay([job_id], _ACTOR)
        (again,) = await rig.take()
        assert (again.attempt, again.failures, again.crashes) == (1, 0, 0)


async def _cancel(rig: Rig, job_id: UUID) -> Answer:
    answers = await rig.around.inspector.cancel([job_id], _ACTOR)
    return next(iter(answers.values()))
