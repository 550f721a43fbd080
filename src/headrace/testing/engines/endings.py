"""Settling writes what an attempt ended in: fenced, and harmless to repeat."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from headrace.model.job import Delivery, Ending
from headrace.model.outcome import Cancel, Dead, Outcome, Retry, Snooze
from headrace.model.state import State
from headrace.model.verdict import steered
from headrace.testing.engines.rig import Rig, completion, failure, tokens


def _complete(delivery: Delivery) -> Ending:
    return completion(delivery, '{"sent": true}')


def _fail(delivery: Delivery) -> Ending:
    return failure(delivery, delay=30)


def _retry(delivery: Delivery) -> Ending:
    return _steered(delivery, Retry("busy", after="30s"))


def _snooze(delivery: Delivery) -> Ending:
    return _steered(delivery, Snooze("30s"))


def _cancel(delivery: Delivery) -> Ending:
    return _steered(delivery, Cancel("not wanted"))


def _die(delivery: Delivery) -> Ending:
    return _steered(delivery, Dead("hopeless"))


def _steered(delivery: Delivery, outcome: Outcome) -> Ending:
    return Ending(delivery, steered(delivery, outcome, 0.5, timedelta()))


Ends = Callable[[Delivery], Ending]
_GOES_ON = [_fail, _retry, _snooze]
_OVER = [_complete, _cancel, _die]
_any = pytest.mark.parametrize("end", [*_OVER, *_GOES_ON])


class Endings:
    """Tests of settle."""

    async def test_a_completed_job_is_over_with_its_result(self, rig: Rig) -> None:
        one = await rig.given()
        assert await rig.settle(_complete(one)) == {one.token}
        job = await rig.get(one.id)
        assert (job.state, job.attempt, job.error) == (State.COMPLETED, 1, None)
        assert job.result is not None
        assert bytes(job.result) == b'{"sent": true}'
        assert job.started_at is not None
        assert job.settled_at is not None
        assert (job.settled_at - job.started_at).total_seconds() == pytest.approx(0.5, abs=0.01)
        assert await rig.engine.outcomes([one.id]) == [job]

    async def test_a_completed_job_may_have_no_result(self, rig: Rig) -> None:
        one = await rig.given()
        assert await rig.complete([one]) == {one.token}
        assert (await rig.get(one.id)).result is None

    @pytest.mark.parametrize("end", [_fail, _retry])
    async def test_a_failed_attempt_is_tried_again_after_its_delay(
        self, rig: Rig, end: Ends
    ) -> None:
        one = await rig.given()
        assert await rig.settle(end(one)) == {one.token}
        job = await rig.get(one.id)
        assert (job.state, job.attempt, job.failures) == (State.RETRYABLE, 1, 1)
        assert job.error is not None
        assert job.gen > one.gen
        assert await rig.take() == []
        await rig.around.pass_time(31)
        (again,) = await rig.take(worker=rig.bob)
        assert (again.id, again.attempt, again.failures) == (one.id, 2, 1)
        assert again.gen > one.gen

    async def test_the_last_attempt_that_fails_is_the_end(self, rig: Rig) -> None:
        (job_id,) = await rig.insert(max_attempts=3)
        for attempt in (1, 2, 3):
            (one,) = await rig.take()
            assert one.attempt == attempt
            assert await rig.settle(failure(one)) == {one.token}
        job = await rig.get(job_id)
        assert (job.state, job.attempt, job.failures) == (State.DEAD, 3, 3)
        assert job.error == {"type": "ValueError", "message": "boom"}
        assert await rig.take() == []

    async def test_a_snooze_costs_no_attempt(self, rig: Rig) -> None:
        one = await rig.given(max_attempts=1)
        for snoozes in (1, 2, 3):
            assert await rig.settle(_snooze(one)) == {one.token}
            job = await rig.get(one.id)
            assert (job.state, job.snoozes, job.failures) == (State.SCHEDULED, snoozes, 0)
            assert await rig.take() == []
            await rig.around.pass_time(31)
            (one,) = await rig.take()
            assert one.attempt == 1

    @pytest.mark.parametrize(
        ("end", "state", "failures"),
        [(_cancel, State.CANCELLED, 0), (_die, State.DEAD, 1), (_complete, State.COMPLETED, 0)],
    )
    async def test_what_is_over_is_never_given_again(
        self, rig: Rig, end: Ends, state: State, failures: int
    ) -> None:
        one = await rig.given()
        assert await rig.settle(end(one)) == {one.token}
        job = await rig.get(one.id)
        assert (job.state, job.failures, job.error is None) == (state, failures, end is _complete)
        await rig.around.pass_time(3600)
        await rig.bury(rig.ann)
        assert await rig.take(worker=rig.bob) == []
        assert await rig.get(one.id) == job

    @_any
    async def test_a_repeated_settlement_is_accepted_again_and_changes_nothing(
        self, rig: Rig, end: Ends
    ) -> None:
        one = await rig.given()
        assert await rig.settle(end(one)) == {one.token}
        job = await rig.get(one.id)
        for _ in range(2):
            assert await rig.settle(end(one)) == {one.token}
        assert await rig.get(one.id) == job

    @_any
    async def test_of_concurrent_sendings_one_is_written(self, rig: Rig, end: Ends) -> None:
        one = await rig.given()
        answers = await asyncio.gather(*(rig.settle(end(one)) for _ in range(4)))
        assert answers == [{one.token}] * 4
        job = await rig.get(one.id)
        assert job.failures + job.snoozes <= 1
        assert job.gen <= one.gen + 1

    @_any
    async def test_what_another_worker_settled_is_refused(self, rig: Rig, end: Ends) -> None:
        one = await rig.given()
        assert await rig.settle(end(one)) == {one.token}
        job = await rig.get(one.id)
        assert await rig.settle(end(one), worker=rig.bob) == set()
        assert await rig.get(one.id) == job

    @_any
    async def test_a_stale_settlement_is_refused(self, rig: Rig, end: Ends) -> None:
        old = await rig.given()
        await rig.bury(rig.ann)
        assert await rig.settle(end(old)) == set()
        (new,) = await rig.take(worker=rig.bob)
        assert await rig.settle(end(old)) == set()
        assert await rig.engine.extend([new]) == {new.id}
        assert await rig.complete([new], worker=rig.bob) == {new.token}
        done = await rig.get(new.id)
        assert await rig.settle(end(old)) == set()
        assert await rig.get(new.id) == done

    @pytest.mark.parametrize("end", _GOES_ON)
    async def test_a_repetition_leaves_the_next_run_alone(self, rig: Rig, end: Ends) -> None:
        old = await rig.given()
        await rig.settle(end(old))
        await rig.around.pass_time(31)
        (new,) = await rig.take(worker=rig.bob)
        assert await rig.settle(end(old)) == {old.token}, "it was written, by an earlier sending"
        assert await rig.engine.extend([new]) == {new.id}
        assert await rig.complete([new], worker=rig.bob) == {new.token}

    async def test_a_batch_is_judged_one_by_one(self, rig: Rig) -> None:
        await rig.insert(8)
        held = await rig.take()
        stale = msgspec.structs.replace(held[6], gen=held[6].gen - 1)
        await rig.settle(_complete(held[7]))
        ends = [_complete, _fail, _retry, _snooze, _cancel, _die, _complete, _complete]
        sent = [*held[:6], stale, held[7]]
        batch = [end(one) for end, one in zip(ends, sent, strict=True)]
        assert await rig.settle(*reversed(batch)) == tokens(sent) - {stale.token}
        states = [(await rig.get(one.id)).state for one in sent if one is not stale]
        assert states == [
            State.COMPLETED,
            State.RETRYABLE,
            State.RETRYABLE,
            State.SCHEDULED,
            State.CANCELLED,
            State.DEAD,
            State.COMPLETED,
        ]

    @pytest.mark.parametrize("end", [_complete, _die])
    async def test_two_runs_of_a_job_in_a_batch_are_told_apart(self, rig: Rig, end: Ends) -> None:
        first = await rig.given()
        await rig.bury(rig.ann)
        (second,) = await rig.take(worker=rig.bob)
        batch = [end(first), end(second)]
        assert await rig.settle(*batch, worker=rig.bob) == {second.token}
        assert await rig.settle(*reversed(batch), worker=rig.bob) == {second.token}

    async def test_nothing_to_settle_is_nothing(self, rig: Rig) -> None:
        assert await rig.settle() == set()

    async def test_large_batches_that_cross_do_not_deadlock(self, rig: Rig) -> None:
        await rig.insert(400)
        held = await rig.take(400)
        batches = [held, held[::-1], held[1::2] + held[::2]]
        answers = await asyncio.gather(*map(rig.complete, batches))
        assert answers == [tokens(held)] * 3
