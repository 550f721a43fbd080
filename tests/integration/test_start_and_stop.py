"""Whatever is started and stopped, often and at odd moments, leaves nothing behind."""

import asyncio
import random
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from headrace import Headrace, State
from headrace.connect import connect
from headrace.engines.ledgered import LedgeredEngine
from headrace.errors import SchemaError
from headrace.ledger.postgres import PostgresLedger
from headrace.model.job import Token
from headrace.ports.clock import boottime
from headrace.relay.keeper import Keeper
from headrace.relay.reaper import Reaper
from headrace.service import Loop
from headrace.supervisor.supervisor import Supervisor
from headrace.worker.culprit import Culprit
from headrace.worker.hand import Hand
from headrace.worker.heartbeat import Heartbeat
from headrace.worker.rescue import Rescue
from headrace.worker.settler import Settler
from headrace.worker.worker import Worker
from integration.ledgers import add, claim, hire, new_job, settlement, stored
from steady_pace import SteadyPace

TASKS = 10
TURNS = 20

_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@asynccontextmanager
async def leaving_nothing(sql: asyncpg.Connection) -> AsyncIterator[None]:
    """No task, thread or connection is left that was not there before."""
    tasks, threads, others = asyncio.all_tasks(), our_threads(), await sql.fetchval(_OTHERS)
    async with asyncio.timeout(60):
        yield
        while await sql.fetchval(_OTHERS) > others:
            await sql.execute("SELECT pg_sleep(0.01)")  # a server process ends after its client
    assert asyncio.all_tasks() <= tasks
    assert our_threads() <= threads


def our_threads() -> set[str]:
    """But for the event loop's own.

    Its executor's stay until it closes, and one that waited for a process tells of its end, and
    then ends.
    """
    return {
        one.name
        for one in threading.enumerate()
        if not one.name.startswith(("asyncio_", "asyncio-waitpid-"))
    }


async def at_once(turn: Callable[[random.Random], Coroutine[Any, Any, None]]) -> None:
    async def take_turns(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(TURNS):
            await turn(dice)

    await asyncio.gather(*map(take_turns, range(TASKS)))


async def a_moment(dice: random.Random) -> None:
    await asyncio.sleep(dice.choice([0, 0, 0.001, 0.01]))  # what is stopped then must not matter


@pytest.mark.parametrize(
    "loop_of", [lambda ledger: Reaper(ledger).loop, lambda ledger: Keeper(ledger).loop]
)
async def test_services(
    ledger: PostgresLedger, sql: asyncpg.Connection, loop_of: Callable[[PostgresLedger], Loop]
) -> None:
    await asyncio.gather(*(ledger.watch() for _ in range(8)))  # the pool is as large as it gets
    loop = loop_of(ledger)

    async def turn(dice: random.Random) -> None:
        loop.start()
        await a_moment(dice)
        loop.wake()
        await loop.stop()

    async with leaving_nothing(sql):
        await at_once(turn)
        await loop.stop()


async def test_workers(migrated_url: str, sql: asyncpg.Connection) -> None:
    app = Headrace("tests", database_url=migrated_url)
    runs: Counter[int] = Counter()

    @app.task(queue="a", max_attempts=1)
    async def count(number: int) -> None:
        await asyncio.sleep(0)
        runs[number] += 1

    async def turn(dice: random.Random) -> None:
        worker = Worker(app, {"a": 2}, pace=lambda: SteadyPace(dice.randrange(3)))
        await worker.start()
        await a_moment(dice)
        await worker.stop()
        await worker.stop()

    async with leaving_nothing(sql), app:
        jobs = await app.enqueue_many([count.job(number) for number in range(300)])
        await at_once(turn)
        await Worker(app, {"a": 10}).run(burst=True)
        states = Counter([(await job.refresh()).state for job in jobs])
    assert states == {State.COMPLETED: 300}
    assert set(runs.values()) == {1}


async def test_a_worker_that_never_started(migrated_url: str, sql: asyncpg.Connection) -> None:
    async with leaving_nothing(sql), Headrace("tests", database_url=migrated_url) as app:
        app.queue("a")
        await Worker(app, {"a": 2}).stop()


async def test_heartbeats(migrated_url: str, sql: asyncpg.Connection) -> None:
    app = Headrace("tests", database_url=migrated_url)
    async with leaving_nothing(sql), app:
        app.queue("q")
        await app.declare()
        beaten = asyncio.Event()

        async def turn(dice: random.Random) -> None:
            worker = await hire(app.engine.ledger)  # type: ignore[attr-defined]  # it is ledgered
            hand = Hand(worker, boottime())
            heartbeat = Heartbeat(
                engine=lambda: connect(app.settings),
                hand=lambda: hand,
                beaten=lambda _: beaten.set(),
                blocked=lambda: Culprit("nobody"),
                rescue=Rescue(list),
                failed=_never,
                interval=dice.choice([0.002, 1, 1, 1, 1, 1]),
            )
            heartbeat.start()
            await a_moment(dice)
            await heartbeat.stop()
            await heartbeat.stop()

        await at_once(turn)
    assert beaten.is_set()


async def test_settlers(ledger: PostgresLedger, sql: asyncpg.Connection) -> None:
    await add(ledger, TASKS * TURNS)
    worker = await hire(ledger)
    held = await claim(ledger, worker, TASKS * TURNS)
    accepted: set[Token] = set()
    settler = Settler(LedgeredEngine(ledger), lambda _, done: accepted.update(done), _never)

    async def turn(dice: random.Random) -> None:
        one = held.pop()
        settler.add(worker, one, settlement(one))
        if dice.randrange(2):
            await settler.drain()

    async with leaving_nothing(sql):
        await asyncio.gather(*(ledger.watch() for _ in range(8)))
        await at_once(turn)
        await settler.drain()
        assert settler.backlog == 0
        await ledger.close()
    assert len(accepted) == TASKS * TURNS


async def test_engines_and_their_group_commit(
    migrated_url: str, ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    async def turn(dice: random.Random) -> None:
        engine = LedgeredEngine(PostgresLedger(migrated_url, size=2))
        await engine.start()
        inserting = [asyncio.create_task(engine.insert([new_job(ledger)])) for _ in range(3)]
        await asyncio.sleep(0)
        if dice.randrange(2):
            inserting[1].cancel()
        await engine.stop()
        answers = await asyncio.gather(*inserting, return_exceptions=True)
        assert [type(one) for one in answers[::2]] == [list, list]

    async with leaving_nothing(sql):
        await asyncio.gather(*(turn(random.Random(seed)) for seed in range(TASKS)))
    assert 2 * TASKS <= await stored(sql) <= 3 * TASKS


async def test_a_ledger_that_cannot_open(migrated_url: str, sql: asyncpg.Connection) -> None:
    await sql.execute("ALTER TABLE headrace.queue RENAME TO elsewhere")
    async with leaving_nothing(sql):
        with pytest.raises(SchemaError):
            await PostgresLedger(migrated_url).open()


@pytest.mark.parametrize("seed", range(TURNS // 2))
async def test_supervisors(sql: asyncpg.Connection, seed: int) -> None:
    dice = random.Random(seed)
    life = [[sys.executable, "-S", "-c", "input()"], ["true"], ["cat"]][seed % 3]
    supervisor = Supervisor(life, TASKS)
    async with leaving_nothing(sql):
        running = asyncio.create_task(supervisor.run())
        await asyncio.sleep(dice.choice([0, 0.001, 0.02, 0.1]))  # any moment of a start
        supervisor.drain()
        while not running.done():
            supervisor.drain()
            await asyncio.sleep(0)
        assert await running == 0


def _never(defect: BaseException) -> None:
    raise AssertionError(defect)
