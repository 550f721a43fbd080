"""Whose lane it is: databases that share a Redis, restored ones, and copies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import pytest
import redis.asyncio

from headrace import Headrace
from headrace.embedded import EmbeddedValkey
from headrace.engines.lane_owner import recognise
from headrace.engines.ledgered import LedgeredEngine
from headrace.engines.reconcile import reconcile
from headrace.lanes.memory import MemoryLane
from headrace.ledger.postgres import PostgresLedger
from headrace.model.entry import START
from headrace.model.lane_view import LaneView, Mark, Mode, Sighting
from headrace.ports.lane_ledger import Standing
from headrace.relay.services import services
from headrace.relay.stranger import Stranger
from headrace.relay.switch import switch_off
from headrace.testing.lanes.rig import entry
from headrace.worker.worker import Worker
from integration import served
from integration.ledgers import add
from servers import fresh_database

LEASE = 1.5
SAVED = ("queue", "task", "job", "lane", "idempotency")
NAME = UUID(int=7)


@dataclass
class Site:
    """An application with its services and a worker, and what it ran."""

    app: Headrace
    ran: list[int] = field(default_factory=list)

    @property
    def engine(self) -> LedgeredEngine:
        assert isinstance(self.app.engine, LedgeredEngine)
        return self.app.engine

    async def view(self) -> LaneView:
        return await self.engine.ledger.lanes.view()

    async def enqueue(self, *numbers: int) -> None:
        await self.app.enqueue_many([self.app.tasks["note"].job(n) for n in numbers])


@asynccontextmanager
async def running(url: str, redis_url: str, *, worker: bool = True) -> AsyncIterator[Site]:
    """A process that lives, with a lane that gives out its jobs."""
    app = Headrace("tests", database_url=url, redis_url=redis_url, lease=f"{LEASE}s")
    site = Site(app)

    @app.task(queue="work", name="note")
    async def note(number: int) -> None:
        site.ran.append(number)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app)
        loops = services(app.engine, lease=LEASE)
        for loop in loops:
            loop.start()
            stack.push_async_callback(loop.stop)
        if worker:
            one = Worker(app, {"work": 10})
            await one.start()
            stack.push_async_callback(one.stop)
        await served.until(lambda: _hybrid(site), 40.0)
        yield site


async def _hybrid(site: Site) -> bool:
    return (await site.view()).mode is Mode.HYBRID


async def over(url: str, jobs: int) -> None:
    """Wait until so many jobs are completed, and none is live."""
    connection = await asyncpg.connect(url)

    async def done() -> bool:
        states = await connection.fetch("SELECT state FROM headrace.job")
        return [row["state"] for row in states] == [2] * jobs

    try:
        await served.until(done, 60.0)
    finally:
        await connection.close()


async def save(sql: asyncpg.Connection) -> None:
    """A dump of what matters here."""
    await sql.execute("DROP SCHEMA IF EXISTS saved CASCADE; CREATE SCHEMA saved")
    for table in SAVED:
        await sql.execute(f"CREATE TABLE saved.{table} AS TABLE headrace.{table}")


async def restore(sql: asyncpg.Connection) -> None:
    """The dump in the place of what there is."""
    async with sql.transaction():
        for table in reversed(SAVED):
            await sql.execute(f"DELETE FROM headrace.{table}")
        await sql.execute("DELETE FROM headrace.worker; DELETE FROM headrace.leader")
        for table in SAVED:
            await sql.execute(
                f"INSERT INTO headrace.{table} OVERRIDING SYSTEM VALUE SELECT * FROM saved.{table}"
            )


async def lanes_of(redis_url: str) -> set[str]:
    async with redis.asyncio.from_url(redis_url) as client:
        return {str(meta) for meta in await client.keys("*:meta")}


async def test_two_databases_share_a_server_and_do_not_meet(
    migrated_url: str, postgres_url: str, migrated_template: str, valkey: EmbeddedValkey
) -> None:
    with fresh_database(postgres_url, migrated_template) as other_url:
        async with running(migrated_url, valkey.url) as one, running(other_url, valkey.url) as two:
            await asyncio.gather(one.enqueue(*range(100)), two.enqueue(*range(100, 200)))
            await over(migrated_url, 100)
            await over(other_url, 100)
    assert sorted(one.ran) == list(range(100))
    assert sorted(two.ran) == list(range(100, 200))
    assert len(await lanes_of(valkey.url)) == 2


@pytest.mark.parametrize("flushes", [0, 1], ids=["at the same epoch", "at an earlier epoch"])
async def test_a_restored_ledger_builds_its_lane_anew(
    flushes: int, migrated_url: str, sql: asyncpg.Connection, valkey: EmbeddedValkey
) -> None:
    """What vanished is not run any more, and what it had completed is run again."""
    async with running(migrated_url, valkey.url, worker=False) as site:
        await site.enqueue(*range(10))
        await save(sql)
        before = await site.view()
        async with redis.asyncio.from_url(valkey.url) as client:
            for _ in range(flushes):
                await client.flushall()
                await served.until(lambda: _at_a_later_epoch(site, before.epoch), 40.0)
        marked = (await site.view()).mark
        await served.until(lambda: _marked(site, marked), 20.0)
        await site.enqueue(*range(10, 15))
    await restore(sql)
    async with running(migrated_url, valkey.url) as again:
        await over(migrated_url, 10)
        view = await again.view()
    assert sorted(again.ran) == list(range(10))
    assert view.ledger == before.ledger
    assert view.epoch > before.epoch + flushes
    assert len(await lanes_of(valkey.url)) == 1


async def _at_a_later_epoch(site: Site, epoch: int) -> bool:
    view = await site.view()
    return view.epoch > epoch and view.mode is Mode.HYBRID


async def _marked(site: Site, before: Mark) -> bool:
    """Whether the lane has a later mark."""
    assert site.engine.lane is not None
    seen = await site.engine.lane.seen()
    return seen is not None and seen.mark is not None and seen.mark.tide > before.tide


async def test_a_ledger_is_restored_while_its_workers_live(
    migrated_url: str, sql: asyncpg.Connection, valkey: EmbeddedValkey
) -> None:
    async with running(migrated_url, valkey.url) as site:
        await save(sql)
        before = await site.view()  # afterwards: a mark may have been left meanwhile
        await site.enqueue(*range(20))
        await over(migrated_url, 20)
        await served.until(lambda: _marked(site, before.mark), 20.0)
        await restore(sql)
        await served.until(lambda: _at_a_later_epoch(site, before.epoch), 40.0)
        await site.enqueue(*range(20, 30))
        await over(migrated_url, 10)
    assert sorted(site.ran) == list(range(30))


async def test_a_copy_gives_way_to_the_database_that_uses_the_lane(
    migrated_url: str, postgres_url: str, valkey: EmbeddedValkey
) -> None:
    async with running(migrated_url, valkey.url) as site:
        await site.enqueue(*range(5))
        await over(migrated_url, 5)
    name = urlsplit(migrated_url).path.removeprefix("/")
    with fresh_database(postgres_url, name) as copy_url:
        async with running(migrated_url, valkey.url) as original:
            before = await original.view()
            await served.until(lambda: _marked(original, before.mark), 20.0)
            async with running(copy_url, valkey.url) as copy:
                await asyncio.gather(
                    original.enqueue(*range(100, 200)), copy.enqueue(*range(200, 300))
                )
                await over(migrated_url, 105)
                await over(copy_url, 105)
                assert (await copy.view()).ledger != before.ledger
            after = await original.view()
    assert (after.ledger, after.epoch) == (before.ledger, before.epoch), "it was not disturbed"
    assert sorted(original.ran) == list(range(100, 200))
    assert sorted(copy.ran) == list(range(200, 300))


async def test_of_two_copies_that_begin_at_once_one_gives_way(
    migrated_url: str, postgres_url: str, valkey: EmbeddedValkey
) -> None:
    async with running(migrated_url, valkey.url) as site:
        await site.view()
    name = urlsplit(migrated_url).path.removeprefix("/")
    with fresh_database(postgres_url, name) as copy_url:
        async with running(migrated_url, valkey.url) as one, running(copy_url, valkey.url) as two:
            await served.until(lambda: _apart(one, two), 40.0)
            await served.until(lambda: _hybrid(one), 40.0)
            await served.until(lambda: _hybrid(two), 40.0)
            await asyncio.gather(one.enqueue(*range(50)), two.enqueue(*range(50, 100)))
            await over(migrated_url, 50)
            await over(copy_url, 50)
    assert sorted(one.ran) == list(range(50))
    assert sorted(two.ran) == list(range(50, 100))


async def _apart(one: Site, two: Site) -> bool:
    return (await one.view()).ledger != (await two.view()).ledger


# Step by step


@pytest.mark.parametrize(
    ("after_loss", "mode"), [(Mode.REBUILD, Mode.HYBRID), (Mode.DIRECT, Mode.DIRECT)]
)
async def test_jobs_of_a_dump_of_another_server_wait_for_the_grace(
    after_loss: Mode, mode: Mode, ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    """Their transactions are numbered beyond this server's own; a worker may run them still."""
    await add(ledger, 1)
    await sql.execute(
        "UPDATE headrace.job SET xid = (pg_current_xact_id()::text::bigint + 1000000)::text::xid8"
    )
    for after, given_by in ((Mode.REBUILD, Mode.HYBRID), (after_loss, mode)):
        view = await ledger.lanes.view()
        assert await ledger.lanes.switch(view.epoch, after, held=False)
        view = await ledger.lanes.fence(view.epoch + 1, given_by) or view
    assert (view.mode, view.calm) == (mode, False)
    (queue,) = await ledger.lanes.queues()
    (waiting,) = await ledger.lanes.walk(queue, 5, START, view, 30.0, 10)
    assert not waiting.clear


async def strange_lane(ledger: PostgresLedger, *, epoch: int, mark: Mark) -> MemoryLane:
    """A lane of this ledger's identity, opened by a history that is not in it."""
    view = await ledger.lanes.switch(1, Mode.REBUILD, held=False)
    assert view is not None
    view = await ledger.lanes.fence(view.epoch, Mode.HYBRID)
    assert view is not None
    lane = MemoryLane()
    lane.belong_to(view.ledger)
    await lane.open_epoch(epoch)
    await lane.mark(epoch, mark)
    return lane


@pytest.mark.parametrize(
    ("epoch", "mark", "strange"),
    [
        (2, Mark(0, NAME), False),
        (3, Mark(0, NAME), True),
        (2, Mark(9, NAME), True),
        (2, Mark(1, NAME), True),
    ],
    ids=["an earlier mark", "a later epoch", "a later mark", "the same tide by another"],
)
async def test_a_lane_is_recognised(
    ledger: PostgresLedger, epoch: int, mark: Mark, *, strange: bool
) -> None:
    lane = await strange_lane(ledger, epoch=epoch, mark=mark)
    before = await ledger.lanes.view()
    view = await recognise(ledger.lanes, lane)
    if strange:
        assert (view.mode, view.epoch) == (Mode.REBUILD, max(epoch, before.epoch) + 1)
        assert await recognise(ledger.lanes, lane) == view, "once is enough"
    else:
        assert view == before
    assert await lane.seen() == Sighting(epoch, living=True, mark=mark), "it is left alone"


async def test_an_engine_that_outlived_its_ledgers_epoch_believes_the_ledger(
    migrated_url: str, valkey: EmbeddedValkey
) -> None:
    """The ledger was restored and the lane flushed: nobody else knows the epoch that it knew."""
    async with running(migrated_url, valkey.url, worker=False) as site:
        worker, view = site.engine.new_id(), await site.view()
        await site.engine.register(worker, "host", 1, {"work": 1}, LEASE)
        site.engine.heed(view._replace(epoch=view.epoch + 9))
        assert (await site.engine.take(worker, "work", 1, 1)).deliveries == []
        assert site.engine.view.epoch == view.epoch


async def test_a_lane_in_use_by_another_is_not_switched_off(ledger: PostgresLedger) -> None:
    lane = await strange_lane(ledger, epoch=2, mark=Mark(9, NAME))
    view = await switch_off(ledger.lanes, lane)
    assert (view.mode, view.fence) == (Mode.DIRECT, None)
    assert await lane.epoch() == 2


async def test_a_stranger_is_watched_without_a_gap(
    ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("headrace.relay.stranger.boottime", lambda: now)
    await strange_lane(ledger, epoch=2, mark=Mark(9, NAME))
    view = await ledger.lanes.switch(2, Mode.REBUILD, held=False)
    assert view is not None
    seen = Sighting(2, living=True, mark=Mark(9, NAME))
    watch = Stranger(ledger.lanes, lease=15.0)
    told = []
    for step in (0, 4, 4, 6, 4, 4, 4, 4):
        now += step
        told.append(await watch.gone(view, seen))
    assert told == [False] * 7 + [True]
    assert not await watch.gone(view, seen)
    assert not await watch.gone(view, seen._replace(mark=Mark(10, NAME)))
    parted = await ledger.lanes.view()
    assert parted.ledger != view.ledger
    assert (parted.epoch, parted.mode, parted.calm) == (view.epoch + 1, Mode.REBUILD, False)


async def test_a_generation_that_the_ledger_never_had_is_replaced() -> None:
    """Its holder died; the reaper lists it for ever, unless it goes."""
    lane, view, worker = MemoryLane(), LaneView(1, Mode.HYBRID), uuid4()
    await lane.open_epoch(1, grace=0)
    await lane.beat(1, worker, [], 0)
    newer = entry(gen=3)
    await lane.put(1, [newer])
    await lane.take(1, worker, newer.queue, 1, 1)
    waits = Standing(1, entry(id=newer.id, gen=1))
    await reconcile(lane, view, {newer.id: 3}, {newer.id: waits})
    taken = await lane.take(1, worker, newer.queue, 2, 9)
    assert [(one.id, one.gen) for one in taken.deliveries] == [(newer.id, 1)]
    over = Standing(1, None)
    await reconcile(lane, view, {newer.id: 3}, {newer.id: over})
    assert await lane.extend(1, worker, taken.deliveries) == set()
