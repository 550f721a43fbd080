"""Operators' commands in hybrid mode: at every moment of a delivery, and with the lane away."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest

from headrace.embedded import EmbeddedValkey
from headrace.engines.lane_inspector import LaneInspector
from headrace.engines.ledgered import LedgeredEngine
from headrace.engines.write_through import Stamp
from headrace.ledger.inspector import LedgerInspector
from headrace.ledger.queries import Queries
from headrace.model.inspection import Answer
from headrace.model.job import Delivery, NewJob
from headrace.model.lane_view import Mode
from headrace.model.state import State
from headrace.ports.inspector import Answers, BlindInspector, Inspector
from headrace.ports.lane import Lane
from headrace.relay.pauses import Pauses
from headrace.relay.reaper import LEASE
from headrace.testing.engines import Rig
from headrace.testing.engines.rig import QUEUE, failure
from headrace.testing.engines.rigs import Hybrid, hybrid_rig
from lanes import frozen

ACTOR = "tests:operator"
CALLS = itertools.count(1000)  # beyond those that a rig gives
BOUND = 8.0  # seconds: two replies that do not come, and room


class Interrupted(LedgerInspector):
    """A ledger's inspector to whom something happens right before or after the commit."""

    def __init__(self, queries: Queries) -> None:
        super().__init__(queries)
        self.before: Callable[[], Awaitable[object]] = nothing
        self.after: Callable[[], Awaitable[object]] = nothing

    async def cancel(
        self, ids: Sequence[UUID], actor: str, reason: str = "", *, untold: bool = False
    ) -> Answers:
        await self.before()
        answers = await super().cancel(ids, actor, reason, untold=untold)
        await self.after()
        return answers


async def nothing() -> None:
    pass


@pytest.fixture
async def rig(migrated_url: str, valkey: EmbeddedValkey) -> AsyncIterator[Rig]:
    async with hybrid_rig(migrated_url, valkey.url) as rig:
        yield rig


@pytest.fixture
async def queries(migrated_url: str) -> AsyncIterator[Queries]:
    async with Queries(migrated_url) as queries:
        yield queries


def engine_of(rig: Rig) -> LedgeredEngine:
    assert isinstance(rig.engine, LedgeredEngine)
    return rig.engine


def lane_of(rig: Rig) -> Lane:
    lane = engine_of(rig).lane
    assert lane is not None
    return lane


def inspector_of(rig: Rig, ledger: BlindInspector) -> LaneInspector:
    engine = engine_of(rig)
    return LaneInspector(ledger, engine.ledger.lanes, engine.lane)


async def trust(rig: Rig) -> None:
    """Let the minute pass in which a new lane gives out everything flagged."""
    assert isinstance(rig.around, Hybrid)
    engine, lane = engine_of(rig), lane_of(rig)
    for _ in range(14):
        await rig.around._pass_in_lane(LEASE / 3 - 0.5)
        await lane.expired(engine.view.epoch, 0)
    await rig.beat(rig.ann)
    await rig.beat(rig.bob)


async def push(rig: Rig, job: NewJob, stamp: Stamp | None) -> None:
    """What a producer does after its commit."""
    through = engine_of(rig)._through
    through.push([job], stamp)
    while through._flight is not None:
        await asyncio.wait([through._flight])


async def take_from_lane(rig: Rig) -> list[Delivery]:
    """A take of `ann` without any help of a relay."""
    taken = await rig.engine.take(rig.ann, QUEUE, next(CALLS), 5)
    return taken.deliveries


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


async def cancel(inspector: Inspector, job_id: UUID) -> Answer:
    return (await inspector.cancel([job_id], ACTOR))[job_id]


async def test_a_job_taken_before_the_commit_may_be_starting(rig: Rig, queries: Queries) -> None:
    ledger = Interrupted(queries)
    (job_id,) = await rig.insert()
    await rig.around.carry()
    given = []

    async def take() -> None:
        given.extend(await rig.take())

    ledger.before = take
    assert await cancel(inspector_of(rig, ledger), job_id) is Answer.STARTING
    assert [one.id for one in given] == [job_id]
    assert await rig.complete(given) == set()
    assert (await rig.get(job_id)).state is State.CANCELLED


async def test_a_job_asked_for_after_the_commit_does_not_start(rig: Rig, queries: Queries) -> None:
    ledger = Interrupted(queries)
    (job_id,) = await rig.insert()
    await rig.around.carry()
    given = []

    async def take() -> None:
        given.extend(await rig.take())

    ledger.after = take
    answer = await cancel(inspector_of(rig, ledger), job_id)
    assert given == []
    assert answer in (Answer.DONE, Answer.STARTING)


async def test_a_job_in_the_lane_does_not_start_after_its_cancel(
    rig: Rig, queries: Queries
) -> None:
    """Taken unflagged, it would not be asked for; the lane is taken from right after the commit."""
    await trust(rig)
    job = rig.job()
    stamp = engine_of(rig)._through.stamp()
    await engine_of(rig).ledger.insert([job])
    await push(rig, job, stamp)
    ledger, given = Interrupted(queries), []

    async def take() -> None:
        given.extend(await take_from_lane(rig))

    ledger.after = take
    await cancel(inspector_of(rig, ledger), job.id)
    assert given == []


async def test_a_push_that_comes_after_the_cancel_is_not_run(rig: Rig) -> None:
    await trust(rig)
    jobs = [rig.job(), rig.job()]
    stamp = engine_of(rig)._through.stamp()
    await engine_of(rig).ledger.insert(jobs)
    assert await cancel(rig.around.inspector, jobs[0].id) is Answer.DONE
    for job in jobs:
        await push(rig, job, stamp)
    (other,) = await take_from_lane(rig)
    assert (other.id, other.flagged) == (jobs[1].id, False), "pushes go unflagged here"


async def test_nothing_is_left_in_the_lane(rig: Rig) -> None:
    ids = await rig.insert(3)
    await rig.around.carry()
    assert set((await rig.around.inspector.cancel(ids, ACTOR)).values()) == {Answer.DONE}
    assert await rig.take() == []
    assert await lane_of(rig).held(engine_of(rig).view.epoch, 9) == {}


async def test_a_new_generation_is_in_the_lane_at_once(rig: Rig) -> None:
    (job_id,) = await rig.insert(priority=3)
    await rig.around.carry()
    await rig.around.inspector.reprioritise([job_id], 1, ACTOR)
    taken = await take_from_lane(rig)
    assert [(one.id, one.gen, one.priority) for one in taken] == [(job_id, 2, 1)]


async def test_with_the_lane_dead_it_is_done_and_said_to_be_unsure(
    rig: Rig, valkey: EmbeddedValkey, caplog: pytest.LogCaptureFixture
) -> None:
    held = await rig.given()
    (waiting,) = await rig.insert()
    valkey.kill()
    async with within(BOUND):
        answers = await rig.around.inspector.cancel([held.id, waiting], ACTOR)
    assert answers == {held.id: Answer.STARTING, waiting: Answer.STARTING}
    assert "which jobs are starting is not known" in caplog.text
    assert await rig.complete([held]) == set()
    assert {job.state for job in await rig.engine.get([held.id, waiting])} == {State.CANCELLED}
    valkey.start()


async def test_with_the_lane_hanging_no_command_hangs(rig: Rig, valkey: EmbeddedValkey) -> None:
    ids = await rig.insert(4)
    inspector = rig.around.inspector
    with frozen(valkey):
        async with within(BOUND):
            assert await cancel(inspector, ids[0]) is Answer.STARTING
        async with within(1.0):  # it is not asked again at every step
            assert await cancel(inspector, ids[1]) is Answer.STARTING
            assert await inspector.pause(QUEUE)
            assert await inspector.delete(ids[:1]) == {ids[0]: Answer.DONE}
        async with within(BOUND):
            assert (await inspector.get(ids[2])).state is State.AVAILABLE
        async with within(BOUND):
            assert (await inspector.queue(QUEUE)).available == 2
    assert await cancel(inspector, ids[3]) is Answer.STARTING, "it rests"


async def test_a_lane_in_another_epoch_says_nothing(rig: Rig) -> None:
    (job_id,) = await rig.insert()
    await lane_of(rig).open_epoch(engine_of(rig).view.epoch + 1, grace=0)
    assert await cancel(rig.around.inspector, job_id) is Answer.STARTING


async def test_without_a_url_of_the_lane_nothing_is_sure(rig: Rig, queries: Queries) -> None:
    (job_id,) = await rig.insert()
    blind = LaneInspector(LedgerInspector(queries), engine_of(rig).ledger.lanes, None)
    assert await cancel(blind, job_id) is Answer.STARTING


async def test_a_switch_meanwhile_makes_it_unsure(rig: Rig, queries: Queries) -> None:
    lanes = engine_of(rig).ledger.lanes
    view = await lanes.view()
    await lanes.switch(view.epoch, Mode.DIRECT, held=True)
    await lanes.calm(view.epoch + 1)
    ids = await rig.insert(2)
    ledger = Interrupted(queries)
    inspector = inspector_of(rig, ledger)
    assert await cancel(inspector, ids[0]) is Answer.DONE

    async def switch() -> None:
        await lanes.switch(view.epoch + 1, Mode.REBUILD, held=False)

    ledger.before = switch
    assert await cancel(inspector, ids[1]) is Answer.STARTING


async def test_until_an_old_epoch_is_calm_nothing_is_sure(rig: Rig) -> None:
    lanes = engine_of(rig).ledger.lanes
    view = await lanes.view()
    await lanes.switch(view.epoch, Mode.DIRECT, held=True)
    (job_id,) = await rig.insert()
    assert await cancel(rig.around.inspector, job_id) is Answer.STARTING


async def test_the_relay_makes_the_lane_agree_on_pauses(rig: Rig, queries: Queries) -> None:
    engine, lane = engine_of(rig), lane_of(rig)
    pauses, epoch = Pauses(lane), engine.view.epoch
    ids = await rig.insert(2)
    await rig.around.carry()
    blind = LedgerInspector(queries)
    await blind.pause(QUEUE)
    assert await lane.paused(epoch) == set(), "nobody told it"
    await pauses.round(engine.view, await engine.ledger.lanes.queues())
    assert await lane.paused(epoch) == {QUEUE}
    assert await rig.take() == []
    await blind.resume(QUEUE)
    await pauses.round(engine.view, await engine.ledger.lanes.queues())
    assert {one.id for one in await rig.take()} == set(ids)


async def test_a_word_that_comes_late_to_the_lane_is_corrected(rig: Rig) -> None:
    engine, lane = engine_of(rig), lane_of(rig)
    await rig.around.inspector.pause(QUEUE)
    await rig.around.inspector.resume(QUEUE)
    await lane.pause(engine.view.epoch, QUEUE)
    await Pauses(lane).round(engine.view, await engine.ledger.lanes.queues())
    assert await lane.paused(engine.view.epoch) == set()


async def test_with_the_lane_dead_nothing_is_given_out_anew(
    rig: Rig, valkey: EmbeddedValkey, caplog: pytest.LogCaptureFixture
) -> None:
    """One of them runs: a raised generation would let it run twice at once."""
    dead = await rig.given(max_attempts=1)
    await rig.settle(failure(dead))
    held = await rig.given(priority=3)
    (waiting,) = await rig.insert(priority=3)
    (ahead,) = await rig.insert(delay=timedelta(hours=1))
    valkey.kill()
    inspector, ids = rig.around.inspector, [held.id, waiting, ahead]
    async with within(BOUND):
        assert set((await inspector.reprioritise(ids, 1, ACTOR)).values()) == {Answer.UNKNOWN}
    assert await inspector.promote([ahead], ACTOR) == {ahead: Answer.UNKNOWN}
    answers = await inspector.retry([ahead, dead.id], ACTOR)
    assert answers == {ahead: Answer.UNKNOWN, dead.id: Answer.DONE}
    assert "nothing was changed" in caplog.text
    jobs = {job.id: job for job in await rig.engine.get([*ids, dead.id])}
    assert [(jobs[one].gen, jobs[one].priority) for one in ids] == [(1, 3), (1, 3), (1, 5)]
    assert jobs[ahead].state is State.SCHEDULED
    assert jobs[dead.id].state is State.AVAILABLE
    valkey.start()


async def test_until_an_old_epoch_is_calm_nothing_is_given_out_anew(rig: Rig) -> None:
    lanes = engine_of(rig).ledger.lanes
    (job_id,) = await rig.insert()
    await lanes.switch((await lanes.view()).epoch, Mode.DIRECT, held=True)
    inspector = rig.around.inspector
    assert await inspector.reprioritise([job_id], 1, ACTOR) == {job_id: Answer.UNKNOWN}
    await lanes.calm((await lanes.view()).epoch)
    assert await inspector.reprioritise([job_id], 1, ACTOR) == {job_id: Answer.DONE}


async def test_without_a_url_of_the_lane_nothing_is_given_out_anew(
    rig: Rig, queries: Queries
) -> None:
    (job_id,) = await rig.insert()
    blind = LaneInspector(LedgerInspector(queries), engine_of(rig).ledger.lanes, None)
    assert await blind.reprioritise([job_id], 1, ACTOR) == {job_id: Answer.UNKNOWN}


async def test_what_the_lane_was_not_told_leaves_it_when_it_is_back(
    rig: Rig, valkey: EmbeddedValkey
) -> None:
    await trust(rig)
    jobs = [rig.job(), rig.job(), rig.job()]
    stamp = engine_of(rig)._through.stamp()
    await engine_of(rig).ledger.insert(jobs)
    for job in jobs:
        await push(rig, job, stamp)
    cancelled, deleted, other = (job.id for job in jobs)
    with frozen(valkey):
        assert await cancel(rig.around.inspector, cancelled) is Answer.STARTING
        assert await cancel(rig.around.inspector, deleted) is Answer.STARTING
        assert await rig.around.inspector.delete([deleted]) == {deleted: Answer.DONE}
    assert isinstance(rig.around, Hybrid)
    await rig.around._relay.poll()
    assert [one.id for one in await take_from_lane(rig)] == [other]
    assert await engine_of(rig).ledger.lanes.untold(9) == []


async def test_a_generation_that_the_ledger_has_left_is_replaced_by_the_relay(
    rig: Rig, queries: Queries
) -> None:
    (job_id,) = await rig.insert(priority=3)
    await rig.around.carry()
    assert isinstance(rig.around, Hybrid)
    await rig.around._relay.poll()
    await LedgerInspector(queries).reprioritise([job_id], 1, ACTOR)
    await rig.around._relay.poll()
    taken = await take_from_lane(rig)
    assert [(one.id, one.gen, one.priority) for one in taken] == [(job_id, 2, 1)]
