"""Schedules make each tick once, whoever and however many make them."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from headrace import Context, Headrace, Unique
from headrace.engines.ledgered import LedgeredEngine
from headrace.ledger.queries import Queries
from headrace.model.schedule import move_of
from headrace.relay.scheduler import Scheduler
from headrace.service import running
from headrace.worker.worker import Worker
from integration.served import MODES, served, until

LEASE = 1.5
SECOND = timedelta(seconds=1)
TICKS = """
SELECT j.headers -> 'schedule' ->> 'name' AS name,
       (j.headers -> 'schedule' ->> 'at')::timestamptz AS at, j.run_at, j.id
FROM headrace.job j WHERE j.headers ? 'schedule' ORDER BY 1, 2
"""
# As if no scheduler had been there for a while.
OUTAGE = """
UPDATE headrace.schedule SET cursor = now() - $1::interval, due_at = now()
"""


@asynccontextmanager
async def started(url: str, **settings: Any) -> AsyncIterator[Headrace]:
    app = Headrace("shop", database_url=url, **settings)

    @app.task(queue="work")
    async def note() -> None: ...

    async with app:
        yield app


def engine_of(app: Headrace) -> LedgeredEngine:
    assert isinstance(app.engine, LedgeredEngine)
    return app.engine


async def tick_now(app: Headrace) -> None:
    """What a scheduler makes of all that is due now."""
    engine = engine_of(app)
    due = await engine.ledger.ticks.due(500)
    await engine.make_ticks([move_of(one) for one in due.found])


@pytest.mark.parametrize("mode", MODES)
async def test_a_job_knows_the_tick_that_it_was_made_for(
    mode: str, migrated_url: str, lane_url: str
) -> None:
    seen: list[tuple[str | None, datetime | None]] = []
    async with served(mode, migrated_url, lane_url, LEASE) as app:

        @app.schedule("often", every="1s")
        @app.task(queue="work")
        async def note(ctx: Context) -> None:
            seen.append((ctx.schedule, ctx.scheduled_for))

        worker = Worker(app, {"work": 5})
        await worker.start()  # declares
        try:
            await until(lambda: len(seen) >= 2)
            await note.enqueue()
            await until(lambda: (None, None) in seen)
            await app.schedules.pause("often")
            await app.schedules.run("often")
        finally:
            await worker.stop()
    ticks = [tick for name, tick in seen if name == "often" and tick is not None]
    assert [one - ticks[0] for one in ticks[:2]] == [timedelta(0), SECOND]
    assert ticks[0].tzinfo is not None


async def test_many_schedulers_and_changes_make_each_tick_once(
    migrated_url: str, sql: asyncpg.Connection
) -> None:
    """None of them leads here; an operator edits meanwhile, which changes no tick."""
    async with started(migrated_url) as app, started(migrated_url) as other:
        engines = [engine_of(one) for one in (app, app, other, other)]
        for n in range(20):
            await app.schedules.create(f"s{n}", app.tasks["note"].job(), every="1s")
        await sql.execute(OUTAGE, timedelta(0))
        stop = asyncio.Event()

        async def make(engine: LedgeredEngine) -> None:
            while not stop.is_set():
                due = await engine.ledger.ticks.due(500)
                await engine.make_ticks([move_of(one) for one in due.found])

        async def edit() -> None:
            for n in range(60):
                await app.schedules.edit(f"s{n % 20}", jitter=f"{n % 3}s")

        async with asyncio.TaskGroup() as group:
            for engine in engines:
                group.create_task(make(engine))
            await edit()
            made = "SELECT min(made) > 2 FROM headrace.schedule"
            await until(lambda: sql.fetchval(made))
            stop.set()
    rows = await sql.fetch(TICKS)
    by_name: dict[str, list[datetime]] = {}
    for row in rows:
        by_name.setdefault(row["name"], []).append(row["at"])
        assert row["at"] <= row["run_at"]
    for row in await sql.fetch("SELECT name, made, last_tick FROM headrace.schedule"):
        ticks = by_name[row["name"]]
        assert (len(ticks), ticks[-1]) == (row["made"], row["last_tick"])
        assert {later - tick for tick, later in pairwise(ticks)} <= {SECOND}


CATCH_UP = {"skip": 0, "last": 1, "all(3)": 3}


@pytest.mark.parametrize(("policy", "n"), CATCH_UP.items())
async def test_after_hours_without_a_scheduler(
    migrated_url: str, sql: asyncpg.Connection, policy: str, n: int
) -> None:
    async with started(migrated_url) as app:
        start = await sql.fetchval("SELECT now() - interval '9 hours 30 minutes'")
        job = app.tasks["note"].job()
        await app.schedules.create("s", job, every="1h", start=start, catch_up=policy)
        await sql.execute(OUTAGE, timedelta(hours=9))
        await tick_now(app)
        rows = await sql.fetch(TICKS)
        assert [row["at"] - start for row in rows] == [
            timedelta(hours=h) for h in range(10 - n, 10)
        ]
        found = await app.schedules.get("s")
        assert found.made == len(rows)
        assert found.next_tick is not None
        assert found.next_tick > found.seen_at
        done = [one.kind for one in await app.schedules.history("s")]
        assert done == ["created", "missed"]


async def test_jobs_of_one_tick_are_fenced_twice(
    migrated_url: str, sql: asyncpg.Connection
) -> None:
    """Should the cursor ever go back, by hand or by a restore, the key of the tick is there yet."""
    async with started(migrated_url) as app:
        await app.schedules.create("s", app.tasks["note"].job(), every="1m", catch_up="all(5)")
        for _ in range(2):
            await sql.execute(OUTAGE, timedelta(minutes=3))
            await tick_now(app)
        ticks = [row["at"] for row in await sql.fetch(TICKS)]
        assert len(ticks) == len(set(ticks)) >= 3


async def test_a_key_of_its_own_keeps_ticks_from_overlapping(
    migrated_url: str, sql: asyncpg.Connection
) -> None:
    """A tick comes and goes while the job of the last one is not over."""
    async with started(migrated_url) as app:
        one = app.tasks["note"].options(unique=Unique(key="one"), tenant="acme", priority="high")
        await app.schedules.create("s", one.job(), every="1h", catch_up="all(5)")
        for hours in (5, 2):
            await sql.execute(OUTAGE, timedelta(hours=hours))
            await tick_now(app)
        assert len(await sql.fetch(TICKS)) == 1
        await Worker(app, {"work": 1}).run(burst=True)
        await sql.execute(OUTAGE, timedelta(hours=1))
        await tick_now(app)
        assert len(await sql.fetch(TICKS)) == 2
        jobs = await sql.fetch("SELECT DISTINCT tenant, priority FROM headrace.job")
        assert [tuple(job) for job in jobs] == [("acme", 3)]


async def test_what_was_changed_after_the_look_makes_nothing(
    migrated_url: str, sql: asyncpg.Connection
) -> None:
    async with started(migrated_url) as app:
        engine = engine_of(app)
        await app.schedules.create("s", app.tasks["note"].job(), every="1m")
        changes = [
            lambda: app.schedules.pause("s"),
            lambda: app.schedules.resume("s"),
            lambda: app.schedules.edit("s", every="2m"),
            lambda: app.schedules.edit("s", app.tasks["note"].options(priority=1).job()),
            lambda: app.schedules.delete("s"),
        ]
        for change in changes:
            await sql.execute(OUTAGE, timedelta(minutes=3))
            moves = [move_of(one) for one in (await engine.ledger.ticks.due(9)).found]
            assert moves
            await change()  # type: ignore[no-untyped-call] # a lambda of the list above
            assert await engine.make_ticks(moves) == 0
            await sql.execute("UPDATE headrace.schedule SET paused = (version % 2 = 0)")
        assert await sql.fetch(TICKS) == []


async def test_one_that_cannot_make_its_job_holds_up_no_other(
    migrated_url: str, sql: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async with started(migrated_url) as app:
        for n in range(5):
            await app.schedules.create(f"s{n}", app.tasks["note"].job(), every="1m")
        spoil = """
            UPDATE headrace.schedule SET job = job || '{"queue": "no"}' WHERE name = 's1';
            UPDATE headrace.schedule SET timing = '{"cron": "x"}' WHERE name = 's3';
        """
        await sql.execute(spoil)
        await sql.execute(OUTAGE, timedelta(minutes=3))
        scheduler = Scheduler(engine_of(app))
        with caplog.at_level(logging.CRITICAL):
            assert await scheduler.poll() == 0.0
        assert {row["name"] for row in await sql.fetch(TICKS)} == {"s0", "s2", "s4"}
        query = "SELECT name, error FROM headrace.schedule WHERE due_at > now() + interval '5 s'"
        told = {row["name"]: row["error"] or "" for row in await sql.fetch(query)}
        assert 'queue "no" is unknown' in told["s1"]
        assert "cron='x'" in told["s3"]
        await app.schedules.edit("s1", app.tasks["note"].job())
        await sql.execute(OUTAGE + " WHERE name = 's1'", timedelta(minutes=3))
        await tick_now(app)
        found = await app.schedules.get("s1")
        assert (found.error, found.made) == (None, 1)


async def test_a_tick_that_finds_its_queue_full_is_made_later(
    migrated_url: str, sql: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async with started(migrated_url) as app:
        engine = engine_of(app)
        await app.schedules.create("full", app.tasks["note"].job(), every="1m")
        app.queue("elsewhere")
        await app.schedules.create(
            "other", app.tasks["note"].options(queue="elsewhere").job(), every="1m"
        )
        await engine.limiter.bound({"work": 0})
        await sql.execute(OUTAGE, timedelta(seconds=90))
        with caplog.at_level(logging.CRITICAL):
            assert await Scheduler(engine).poll() == 0.0
        assert [row["name"] for row in await sql.fetch(TICKS)] == ["other"]
        assert 'queue "work" holds 0 jobs of 0' in str((await app.schedules.get("full")).error)
        await engine.limiter.bound({"work": 1})
        await sql.execute("UPDATE headrace.schedule SET due_at = now()")  # as ten seconds later
        await tick_now(app)
        assert [row["name"] for row in await sql.fetch(TICKS)] == ["full", "other"]


async def test_a_thousand_due_at_once_take_few_statements(
    migrated_url: str, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    fetch = Queries.fetch

    async def counting(self: Queries, name: str, *parameters: object) -> Any:
        asked.append(name)
        return await fetch(self, name, *parameters)

    async with started(migrated_url) as app:
        await app.schedules.create("s", app.tasks["note"].job(), every="1m")
        copy = """
            INSERT INTO headrace.schedule (name, timing, job)
            SELECT 's' || n, timing, job FROM headrace.schedule, generate_series(2, 1000) AS n
        """
        await sql.execute(copy)
        await sql.execute(OUTAGE, timedelta(minutes=3))
        scheduler = Scheduler(engine_of(app))
        monkeypatch.setattr(Queries, "fetch", counting)
        while await sql.fetchval("SELECT count(*) FROM headrace.job") < 1000:
            assert await scheduler.poll() == 0.0
        beside = {"lead", "ring", "heard"}  # once a second at most, whatever there is to do
        assert [one for one in asked if one not in beside] == [
            "due_schedules",
            "make_ticks",
        ] * 2


async def test_an_idle_scheduler_hears_of_a_change(
    migrated_url: str, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks once, and again when there is something to see: not after some time."""
    looks = asyncio.Semaphore(0)
    fetch = Queries.fetch

    async def counting(self: Queries, name: str, *parameters: object) -> Any:
        rows = await fetch(self, name, *parameters)
        if name == "due_schedules":
            looks.release()
        return rows

    async with started(migrated_url) as app:
        scheduler = Scheduler(engine_of(app), lease=3600.0)
        scheduler._longest = 3600.0
        monkeypatch.setattr(Queries, "fetch", counting)
        async with running([scheduler.loop]):
            await looks.acquire()
            await app.schedules.create("s", app.tasks["note"].job(), every="1s")
            await until(lambda: sql.fetchval("SELECT made > 0 FROM headrace.schedule"))
            await app.schedules.pause("s")
            made = await sql.fetchval("SELECT made FROM headrace.schedule")
            await app.schedules.resume("s")
            await until(lambda: sql.fetchval("SELECT made > $1 FROM headrace.schedule", made))


async def test_without_a_bell_it_looks_each_second(
    migrated_url: str, sql: asyncpg.Connection
) -> None:
    async with started(migrated_url, prepared_statements=False) as app:
        scheduler = Scheduler(engine_of(app))
        assert await scheduler.poll() == pytest.approx(1.0)
        await app.schedules.create("s", app.tasks["note"].job(), every="1s")
        async with running([scheduler.loop]):
            await until(lambda: sql.fetchval("SELECT made > 0 FROM headrace.schedule"))


async def test_a_limit_ends_it(migrated_url: str, sql: asyncpg.Connection) -> None:
    async with started(migrated_url) as app:
        job = app.tasks["note"].job()
        await app.schedules.create("s", job, every="1m", limit=2, catch_up="all(9)")
        await sql.execute(OUTAGE, timedelta(minutes=5))
        await tick_now(app)
        found = await app.schedules.get("s")
        assert (found.made, found.condition, found.upcoming(5)) == (2, "over", [])
        more = await app.schedules.edit("s", limit=3)
        assert (more.condition, len(more.upcoming(5))) == ("active", 1)
        await tick_now(app)
        assert (await app.schedules.get("s")).made == 2  # from the edit on: none is due yet


async def test_schedulers_that_are_killed_lose_and_double_nothing(
    migrated_url: str, sql: asyncpg.Connection
) -> None:
    """Whoever leads is killed or stopped, again and again, over thousands of ticks."""
    many = 300
    async with started(migrated_url) as app:
        await app.schedules.create("s", app.tasks["note"].job(), every="1s", catch_up="all(1000)")
        copy = """
            INSERT INTO headrace.schedule (name, timing, job)
            SELECT 's' || n, timing, job FROM headrace.schedule, generate_series(2, $1::int) AS n
        """
        await sql.execute(copy, many)
        begun = await sql.fetchval(
            "UPDATE headrace.schedule SET cursor = date_trunc('second', now()), due_at = now() "
            "RETURNING cursor"
        )
        relays = [await _relay(migrated_url) for _ in range(3)]
        try:
            for n, how in enumerate([signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL], 1):
                await until(partial(sql.fetchval, _MADE, 2 * n), 40.0)
                os.kill(await sql.fetchval(_LEADER), how)
                relays.append(await _relay(migrated_url))
            await until(lambda: sql.fetchval(_MADE, 8), 40.0)
        finally:
            for relay in relays:
                if relay.returncode is None:
                    relay.kill()
                await relay.wait()
    made_by: dict[str, list[datetime]] = {}
    for row in await sql.fetch(TICKS):
        made_by.setdefault(row["name"], []).append(row["at"])
    for name, made, last in await sql.fetch("SELECT name, made, last_tick FROM headrace.schedule"):
        ticks = made_by[name]
        assert ticks == [begun + n * SECOND for n in range(1, made + 1)]
        assert ticks[-1] == last


_LEADER = "SELECT pid FROM headrace.leader WHERE role = 'scheduler'"
_MADE = "SELECT min(made) >= $1 FROM headrace.schedule"


async def _relay(url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "headrace", "relay", "--database-url", url),
        env={**os.environ, "HEADRACE_LEASE": "1.5s"},
        stderr=asyncio.subprocess.DEVNULL,
    )
