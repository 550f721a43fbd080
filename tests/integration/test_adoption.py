"""What a worker took from a lane, when the ledger begins to give out the jobs."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from headrace.engines.ledgered import LedgeredEngine
from headrace.lanes.memory import MemoryLane
from headrace.ledger.postgres import PostgresLedger
from headrace.model.entry import START
from headrace.model.job import Beat, Delivery
from headrace.model.lane_view import LaneView, Mode
from headrace.worker.fetcher import Fetcher
from headrace.worker.identity import Identity
from headrace.worker.pace import Pace
from integration.ledgers import add

OWNED = "SELECT count(*) FROM headrace.job WHERE owner IS NOT NULL"


class Taking:
    """A worker that holds three jobs of a lane, which is voted out."""

    def __init__(self, engine: LedgeredEngine, lane: MemoryLane) -> None:
        self.engine = engine
        self.lane = lane
        self.identity = Identity(engine, {"q": 1}, 15.0)
        self.held: list[Delivery] = []
        self.epoch = 0

    async def begin(self) -> None:
        ledger = self.engine.ledger
        await ledger.declare((), ["q"])
        view = await ledger.lanes.switch((await ledger.lanes.view()).epoch, Mode.REBUILD)
        assert view is not None
        self.epoch = view.epoch
        await self.lane.open_epoch(self.epoch, grace=0)
        await ledger.lanes.fence(view.epoch, Mode.HYBRID)
        await self.identity.register()
        assert isinstance(ledger, PostgresLedger)
        await add(ledger, 3)
        (of,) = await ledger.lanes.queues()
        entries = await ledger.lanes.walk(of, 5, START, self.engine.view, 30.0, 10)
        await self.lane.put(view.epoch, entries)
        hand = self.identity.hand
        taken = await self.engine.take(hand.worker, "q", hand.open_call(), 3)
        assert hand.book(1, taken.deliveries, taken.epoch)
        self.held = taken.deliveries
        assert len(self.held) == 3

    async def switch(self) -> LaneView:
        """The ledger gives out the jobs from now on; the lane is not told."""
        view = await self.engine.ledger.lanes.switch(
            self.engine.view.epoch, Mode.DIRECT, voted=True
        )
        assert view is not None
        return view

    async def beat(self, heeds: int | None) -> Beat:
        return await self.engine.beat(self.identity.hand.worker, self.held, 1, heeds)

    async def ready(self) -> int:
        """How many the lane would give to others."""
        return sum((await self.lane.depth(self.epoch, "q")).ready.values())


@pytest.fixture
async def taking(migrated_url: str) -> AsyncIterator[Taking]:
    lane = MemoryLane()
    engine = LedgeredEngine(PostgresLedger(migrated_url), lane)
    await engine.start()
    taking = Taking(engine, lane)
    await taking.begin()
    yield taking
    await engine.stop()


async def test_a_beat_adopts_what_was_held_after_the_switch_was_heeded_and_the_next_says_so(
    taking: Taking, sql: asyncpg.Connection
) -> None:
    said = "SELECT heeds FROM headrace.worker"
    before = taking.engine.view.epoch
    view = await taking.switch()
    told = await taking.beat(before)
    assert (told.view and told.view.epoch, told.said, told.lost) == (view.epoch, False, frozenset())
    assert await sql.fetchval(OWNED) == 0  # meanwhile something may have gone back to the lane
    adopting = await taking.beat(view.epoch)
    assert (adopting.said, adopting.lost) == (False, frozenset())
    assert await sql.fetchval(OWNED) == 3
    assert await sql.fetchval(said) is None
    assert (await taking.beat(view.epoch)).said
    assert await sql.fetchval(said) == view.epoch
    await taking.engine.ledger.lanes.calm(view.epoch, agreed=True)
    assert (await taking.engine.ledger.lanes.view()).calm


async def test_what_somebody_else_has_is_lost_and_not_waited_for(
    taking: Taking, sql: asyncpg.Connection
) -> None:
    view = await taking.switch()
    first = taking.held[0]
    await sql.execute("UPDATE headrace.job SET owner = gen_random_uuid() WHERE id = $1", first.id)
    await taking.beat(None)
    assert (await taking.beat(view.epoch)).lost == {first.token}
    assert (await taking.beat(view.epoch)).said


async def test_nothing_is_adopted_once_the_lane_is_used_again(
    taking: Taking, sql: asyncpg.Connection
) -> None:
    lanes, worker = taking.engine.ledger.lanes, taking.identity.hand.worker
    view = await taking.switch()
    assert await lanes.adopt(view.epoch + 1, worker, taking.held) == set()
    await lanes.switch(view.epoch, Mode.REBUILD)
    assert await lanes.adopt(view.epoch, worker, taking.held) == set()
    assert await lanes.adopt(view.epoch + 1, worker, taking.held) == set()
    assert await sql.fetchval(OWNED) == 0


@pytest.mark.parametrize("giver", ["a worker that stops", "slots that became slow"])
async def test_what_is_given_back_goes_by_what_the_hand_heeds(
    taking: Taking, sql: asyncpg.Connection, giver: str
) -> None:
    """A beat's thread has heeded, and is adopting; the worker's loop has not heard of it yet."""
    hand, lanes = taking.identity.hand, taking.engine.ledger.lanes
    view = await taking.switch()
    hand.beaten(Beat(alive=True, view=view), sent=0.0)
    assert taking.engine.view.mode is Mode.HYBRID
    await lanes.adopt(view.epoch, hand.worker, taking.held)
    if giver == "a worker that stops":
        await taking.identity.release()
    else:
        unused: Any = None
        fetcher = Fetcher(
            "q",
            engine=taking.engine,
            hand=lambda: hand,
            executor=unused,
            pace=Pace(),
            backlog=lambda: 0,
            emptied=unused,
            failed=unused,
        )
        await fetcher._give_back([(hand, one) for one in taking.held])
    assert await taking.ready() == 0
    assert await sql.fetchval(OWNED) == 0
    assert hand.empty


async def test_a_fence_does_not_switch_what_was_switched_since(taking: Taking) -> None:
    lanes = taking.engine.ledger.lanes
    assert await lanes.fence(taking.engine.view.epoch, Mode.DIRECT) is None
    assert (await lanes.view()).mode is Mode.HYBRID
