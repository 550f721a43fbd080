"""A bounded lane is fed from a backlog, however its jobs were inserted."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count
from uuid import UUID, uuid4

import pytest

from headrace.errors import LaneUnavailable
from headrace.lanes.memory import MemoryLane
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.queries import Queries
from headrace.ledger.rows import Row
from headrace.model.entry import START, Caps, Cursor, Ended, LaneEntry, Moved, PutReply
from headrace.model.lane_view import LaneView, Mode
from headrace.relay.walk import Walk
from integration.ledgers import add, new_job

VIEW = LaneView(1, Mode.HYBRID)
CAP = 2_000
JOBS = 6_000


class Fed:
    """A lane, the walk that feeds it, and a worker that takes from it."""

    def __init__(self, ledger: PostgresLedger) -> None:
        self.ledger = ledger
        self.lane = MemoryLane(caps=Caps(level=CAP))
        self.walk = Walk(ledger.lanes, self.lane, horizon=30.0, cap=CAP)
        self.worker = uuid4()
        self.calls = 0

    async def begin(self) -> None:
        await self.lane.open_epoch(VIEW.epoch, grace=0)
        await self.lane.beat(VIEW.epoch, self.worker, (), 0)

    async def round(self) -> int:
        return await self.walk.round(VIEW, await self.ledger.lanes.queues())

    async def ready(self) -> int:
        return sum((await self.lane.depth(VIEW.epoch, "q")).ready.values())

    async def take(self) -> list[UUID]:
        self.calls += 1
        taken = await self.lane.take(VIEW.epoch, self.worker, "q", self.calls, 500)
        return [one.id for one in taken.deliveries]


@pytest.fixture(params=[97, 500, JOBS], ids=lambda size: f"{size} a statement")
async def fed(request: pytest.FixtureRequest, ledger: PostgresLedger) -> Fed:
    """A full lane with more behind it; jobs of one statement are due at the same microsecond."""
    jobs = [new_job(ledger) for _ in range(JOBS)]
    for first in range(0, JOBS, request.param):
        await ledger.insert(jobs[first : first + request.param])
    fed = Fed(ledger)
    await fed.begin()
    while await fed.round() > 0:
        pass
    assert await fed.ready() == CAP
    assert await fed.lane.cursors(VIEW.epoch)
    return fed


def counted_statements(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What is asked of the ledger from now on."""
    asked: Counter[str] = Counter()
    fetch = Queries.fetch

    async def counting(self: Queries, name: str, *parameters: object) -> Sequence[Row]:
        asked[name] += 1
        return await fetch(self, name, *parameters)

    monkeypatch.setattr(Queries, "fetch", counting)
    return asked


async def test_every_job_comes_in_order_while_those_before_it_still_run(fed: Fed) -> None:
    """What was taken is waiting in the ledger as before, so that the refill has to pass it."""
    taken: list[UUID] = []
    rounds = 0
    while len(taken) < JOBS:
        taken += await fed.take()
        if await fed.ready() < CAP / 2 and await fed.lane.cursors(VIEW.epoch):
            assert await fed.round() > 0, f"the lane runs dry after {len(taken)} jobs"
            rounds += 1
    assert taken == sorted(taken, key=lambda one: one.int)
    assert rounds <= JOBS / 500


async def test_one_round_fills_what_is_empty(fed: Fed) -> None:
    for _ in range(3):
        await fed.take()
    assert await fed.ready() == CAP - 1_500
    await fed.round()
    assert await fed.ready() > CAP - 10  # a few of what it read were there already


async def test_a_put_that_fails_leaves_no_gap(fed: Fed) -> None:
    """Nothing is out of reach of the refill then, which goes on where it was."""
    taken: list[UUID] = []
    put, failed = fed.lane.put, 0

    async def failing(epoch: int, entries: Sequence[LaneEntry]) -> list[PutReply]:
        nonlocal failed
        if len(taken) > failed * 1_500:
            failed += 1
            raise LaneUnavailable("no memory is left")
        return await put(epoch, entries)

    fed.lane.put = failing  # type: ignore[method-assign] # as a server without memory
    while some := await fed.take():
        taken += some
        if await fed.ready() < CAP / 2 and await fed.lane.cursors(VIEW.epoch):
            with suppress(LaneUnavailable):
                await fed.round()
            await fed.round()
    assert failed > 2
    assert len(set(taken)) == JOBS


async def test_what_spills_before_a_cursor_moves_is_read_after_it(fed: Fed) -> None:
    """The move forgets what spilled beyond, since the refill is to find it there."""
    taken: list[UUID] = []
    late: list[UUID] = []
    move = fed.lane.move_cursor

    async def move_late(
        epoch: int, queue: str, level: int, old: Cursor | None, new: Cursor | None
    ) -> Moved:
        if len(taken) >= JOBS - CAP and not late:
            (job,) = await add(fed.ledger)
            late.append(job.id)
            (of,) = await fed.ledger.lanes.queues()
            waiting = await fed.ledger.lanes.walk(of, level, START, VIEW, 30.0, 2 * JOBS)
            await fed.lane.limit(epoch, {queue: 0})
            assert await fed.lane.put(epoch, waiting[-1:]) == [PutReply.FULL]
            await fed.lane.limit(epoch, {queue: CAP})
        return await move(epoch, queue, level, old, new)

    fed.lane.move_cursor = move_late  # type: ignore[method-assign] # as one that waits for a link
    while some := await fed.take():
        taken += some
        if await fed.lane.cursors(VIEW.epoch):
            await fed.round()
    assert late
    assert set(late) <= set(taken)
    assert len(set(taken)) == JOBS + 1


async def test_what_the_lane_lost_is_found_while_its_level_is_refilled(fed: Fed) -> None:
    """The minute's walk begins at the start, however far ahead of it the refill is."""
    (of,) = await fed.ledger.lanes.queues()
    *_, lost = await fed.ledger.lanes.walk(of, 5, START, VIEW, 30.0, CAP)
    await fed.lane.drop(VIEW.epoch, [Ended(lost.id, lost.gen)])
    fed.walk.restart()
    taken: list[UUID] = []
    while len(set(taken)) < JOBS:
        taken += await fed.take()
        await fed.round()
    assert taken[CAP - 1] != lost.id, "it was not lost"


async def test_a_walk_along_what_the_lane_has_takes_its_time(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounds follow each other at once while workers empty the lane."""
    fed.walk.restart()
    hours = count(step=0.01)
    monkeypatch.setattr("headrace.relay.walk.boottime", lambda: next(hours) + 1e6)
    asked = counted_statements(monkeypatch)
    for _ in range(4):
        assert await fed.round() == 0
    assert asked["walk"] == 1


async def test_a_round_asks_nothing_of_queues_and_levels_that_are_empty(
    ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.declare((), [f"empty{n}" for n in range(300)])
    await ledger.insert([new_job(ledger, priority=level) for level in (3, 7)])
    fed = Fed(ledger)
    await fed.begin()
    asked = counted_statements(monkeypatch)
    assert await fed.round() == 2
    assert await fed.round() == 0
    assert asked == {"queue_rows": 2, "waiting_levels": 1, "walk": 2}


async def test_a_level_that_has_room_for_nothing_that_comes_is_left_alone(
    ledger: PostgresLedger,
) -> None:
    """Its ready list is empty, but what waits for its time has taken all the places of that."""
    for _ in range(6):
        jobs = [new_job(ledger, delay=timedelta(seconds=25)) for _ in range(CAP // 4)]
        await ledger.insert(jobs)
    fed = Fed(ledger)
    await fed.begin()
    while await fed.round() > 0:
        pass
    assert await fed.lane.cursors(VIEW.epoch)
    puts, put = 0, fed.lane.put

    async def counted(epoch: int, entries: Sequence[LaneEntry]) -> list[PutReply]:
        nonlocal puts
        puts += 1
        return await put(epoch, entries)

    fed.lane.put = counted  # type: ignore[method-assign] # only looked at
    assert await fed.round() == 0
    assert puts == 1
