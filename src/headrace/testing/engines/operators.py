"""What an operator asks for holds for the next take, and for a run that it came too late for."""

from datetime import timedelta
from uuid import UUID

from headrace.model.inspection import Answer
from headrace.model.job import Ending
from headrace.model.outcome import Dead
from headrace.model.state import State
from headrace.model.verdict import steered
from headrace.testing.engines.rig import OTHER, QUEUE, Rig

_ACTOR = "tests:operator"


class Operators:
    """Tests of pause, cancel, promote and replay."""

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
        for _ in range(2):
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
