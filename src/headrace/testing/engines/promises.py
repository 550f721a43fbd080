"""What queues promise of their jobs besides, or instead of, what all do."""

import pytest

from headrace.errors import ConfigError, UsageError
from headrace.model.job import Delivery
from headrace.model.promise import Promise
from headrace.model.state import State
from headrace.testing.engines.rig import OTHER, QUEUE, Rig, failure, tokens

STRICT = "payments"
LOSS_TOLERANT = "clicks"


class PromiseKeeping:
    """Tests of strict and of loss-tolerant queues."""

    async def test_a_strict_queue_gives_what_the_ledger_knows_to_be_given(self, rig: Rig) -> None:
        rig.needs_a_database()
        await _declare(rig)
        one = await _given(rig)
        assert one.owned
        assert (await rig.get(one.id)).state is State.RUNNING
        async with rig.around.connection() as connection:
            (row,) = await connection.fetch("SELECT owner, gen FROM headrace.job")
        assert tuple(row) == (rig.ann, one.gen)
        assert await rig.complete([one]) == {one.token}

    async def test_a_lane_that_loses_all_does_not_give_a_strict_job_again(self, rig: Rig) -> None:
        await _declare(rig)
        one = await _given(rig)
        for _ in range(2):
            await rig.around.lose_lane()
            assert await rig.take(worker=rig.bob, queue=STRICT) == []
        assert await rig.complete([one]) == {one.token}
        assert (await rig.get(one.id)).attempt == 1

    async def test_only_the_reaper_gives_it_again(self, rig: Rig) -> None:
        await _declare(rig)
        old = await _given(rig)
        await rig.bury(rig.ann)
        (new,) = await rig.take(worker=rig.bob, queue=STRICT)
        assert (new.id, new.attempt, new.owned) == (old.id, 2, True)
        assert await rig.complete([old]) == set()
        assert await rig.complete([new], worker=rig.bob) == {new.token}

    async def test_a_strict_job_fails_and_runs_again(self, rig: Rig) -> None:
        await _declare(rig)
        one = await _given(rig)
        await rig.settle(failure(one))
        (again,) = await rig.take(worker=rig.bob, queue=STRICT)
        assert (again.id, again.attempt, again.owned) == (one.id, 2, True)

    async def test_strict_jobs_go_back_and_lose_no_attempt(self, rig: Rig) -> None:
        await _declare(rig)
        await rig.insert(3, queue=STRICT)
        taken = await rig.take(queue=STRICT)
        await rig.engine.release(rig.ann, taken)
        again = await rig.take(worker=rig.bob, queue=STRICT)
        assert {one.id for one in again} == {one.id for one in taken}
        assert {one.attempt for one in again} == {1}
        assert await rig.complete(taken) == set()

    async def test_strict_jobs_taken_ahead_cost_an_attempt_once_charged(self, rig: Rig) -> None:
        await _declare(rig)
        spared, charged = await rig.insert(2, queue=STRICT)
        (first,) = await rig.take(1, queue=STRICT, worker=rig.bob, ahead=True)
        await rig.bury(rig.bob)
        (second,) = await rig.take(1, queue=STRICT, ahead=True)
        await rig.charge(second)
        await rig.bury(rig.ann)
        assert {first.id, second.id} <= {spared, charged}
        crashes = {one: (await rig.get(one)).crashes for one in (first.id, second.id)}
        assert crashes[second.id] == 1
        assert sum(crashes.values()) == 1

    async def test_no_two_takers_share_a_strict_job(self, rig: Rig) -> None:
        await _declare(rig)
        ids = await rig.insert(30, queue=STRICT)
        mine = await rig.take(20, queue=STRICT)
        yours = await rig.take(20, queue=STRICT, worker=rig.bob)
        assert sorted(one.id for one in [*mine, *yours]) == sorted(ids)
        assert await rig.complete(mine) == tokens(mine)

    async def test_a_queue_is_strict_for_whoever_has_beaten_since(self, rig: Rig) -> None:
        await rig.insert(2)
        (before,) = await rig.take(1)
        said = await rig.around.inspector.promise(QUEUE, Promise.STRICT)
        assert said.changed
        assert said.lease > 0
        await rig.beat(rig.ann, [before])
        (after,) = await rig.take(1)
        assert after.owned
        assert await rig.complete([before, after]) == {before.token, after.token}
        assert not (await rig.around.inspector.promise(QUEUE, Promise.STRICT)).changed

    async def test_loss_tolerant_jobs_run_like_all_others(self, rig: Rig) -> None:
        await _declare(rig)
        ids = await rig.insert(3, queue=LOSS_TOLERANT)
        one, two, three = await rig.take(queue=LOSS_TOLERANT)
        assert {one.id, two.id, three.id} == set(ids)
        assert await rig.complete([one, two]) == tokens([one, two])
        assert await rig.settle(failure(three)) == {three.token}
        (again,) = await rig.take(queue=LOSS_TOLERANT)
        assert (again.id, again.attempt) == (three.id, 2)

    async def test_jobs_of_all_kinds_of_queues_travel_together(self, rig: Rig) -> None:
        await _declare(rig)
        queues = (QUEUE, STRICT, LOSS_TOLERANT)
        jobs = [rig.job(queue=queue) for queue in queues]
        assert [one.id for one in await rig.engine.insert(jobs)] == [job.id for job in jobs]
        taken = [one for queue in queues for one in await rig.take(queue=queue)]
        assert await rig.complete(taken) == tokens(taken)

    async def test_two_that_declare_a_queue_differently(self, rig: Rig) -> None:
        await _declare(rig)
        await _declare(rig)
        with pytest.raises(ConfigError, match=f'"{STRICT}" is strict in this .* it loss-tolerant'):
            await rig.engine.declare((), (), {STRICT: Promise.LOSS_TOLERANT})
        await rig.around.inspector.promise(OTHER, Promise.STANDARD)
        with pytest.raises(ConfigError, match=f'"{OTHER}" is standard in this .* it strict'):
            await rig.engine.declare((), (), {OTHER: Promise.STRICT})

    async def test_what_a_queue_promises_is_shown(self, rig: Rig) -> None:
        await _declare(rig)
        shown = {one.queue: one.promise for one in await rig.around.inspector.queues()}
        assert shown[STRICT] == Promise.STRICT
        assert shown[LOSS_TOLERANT] == Promise.LOSS_TOLERANT
        assert shown[QUEUE] == Promise.STANDARD

    async def test_an_unknown_promise(self, rig: Rig) -> None:
        with pytest.raises(UsageError, match="known: standard, strict, loss-tolerant"):
            await rig.around.inspector.promise(QUEUE, "firm")


async def _declare(rig: Rig) -> None:
    promises = {STRICT: Promise.STRICT, LOSS_TOLERANT: Promise.LOSS_TOLERANT}
    await rig.engine.declare((), (), promises)


async def _given(rig: Rig) -> Delivery:
    await rig.insert(queue=STRICT)
    (delivery,) = await rig.take(queue=STRICT)
    return delivery
