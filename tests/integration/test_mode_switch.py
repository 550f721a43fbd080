"""When the lane cannot be reached, the ledger gives out the jobs, by itself; and back again."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import uuid4

import asyncpg
import pytest
import redis

from chaos.dialects import RedisDialect
from chaos.proxy import Proxy
from headrace.embedded import EmbeddedValkey
from headrace.engines.ledgered import LedgeredEngine
from headrace.errors import LaneUnavailable
from headrace.lanes.redis.scripts import script
from headrace.model.lane_view import Mode
from headrace.ports.clock import boottime
from headrace.relay.steadiness import Steadiness
from integration.crew import Crew
from integration.served import until
from lanes import a_replica, frozen, without_disk, without_replicas

WAITING = "SELECT count(*) FROM headrace.job WHERE state = 0"


@pytest.fixture
def proxy(valkey: EmbeddedValkey) -> Iterator[Proxy]:
    """A way to the lane that can be cut."""
    with Proxy.before(valkey.url, RedisDialect) as proxy:
        yield proxy


@contextmanager
def killed(valkey: EmbeddedValkey) -> Iterator[None]:
    valkey.kill()
    yield
    valkey.start()


def cut(proxy: Proxy) -> None:
    proxy.refuse()
    proxy.cut()


@pytest.mark.parametrize(
    ("fault", "lease", "seconds"),
    [(killed, "15s", 5.0), (frozen, "3s", 10.0)],  # 15 s is what users have, and do not wait for
)
async def test_an_outage_holds_up_no_job_for_long(
    crew: Crew,
    valkey: EmbeddedValkey,
    fault: Callable[[EmbeddedValkey], AbstractContextManager[None]],
    lease: str,
    seconds: float,
) -> None:
    apps = [await crew.hire(valkey.url, lease) for _ in range(2)]
    await crew.settled_in()
    await crew.enqueue(apps[0], range(100))
    await until(lambda: len(crew.ran) == 100)
    with fault(valkey):
        began = time.monotonic()
        await crew.enqueue(apps[0], range(100, 300))
        await until(lambda: len(crew.ran) == 300, 30.0)
        assert max(at for *_, at in crew.ran) - began < seconds
        assert all(crew.view(app).mode is Mode.DIRECT for app in apps)
    assert crew.numbers == list(range(300))


async def test_workers_whose_slots_are_all_busy_vote_too(
    crew: Crew, valkey: EmbeddedValkey
) -> None:
    """They take nothing and wait for nothing, so that no call of theirs fails."""
    over = asyncio.Event()
    app = await crew.hire(valkey.url, "3s")

    @app.task(queue="work", name="sit")
    async def sit() -> None:
        sitting.release()
        await over.wait()

    sitting = asyncio.Semaphore(0)
    await app.enqueue_many([sit.job() for _ in range(10)])
    for _ in range(10):
        await sitting.acquire()
    assert isinstance(app.engine, LedgeredEngine)
    reach = app.engine.reach
    await until(lambda: boottime() - reach.reached_at > 1.5)  # no wait for jobs lasts as long
    with killed(valkey):
        await until(lambda: crew.view(app).mode is Mode.DIRECT)
    over.set()


@pytest.mark.parametrize("fault", [a_replica, without_replicas])
async def test_a_lane_that_answers_and_takes_no_writes_is_voted_out(
    crew: Crew,
    valkey: EmbeddedValkey,
    fault: Callable[[EmbeddedValkey], AbstractContextManager[None]],
) -> None:
    app = await crew.hire(valkey.url, "3s")
    await crew.settled_in()
    assert isinstance(app.engine, LedgeredEngine)
    steady = Steadiness(3.0)
    with fault(valkey):
        await crew.enqueue(app, range(100))
        await until(lambda: len(crew.ran) == 100)
        assert crew.view(app).mode is Mode.DIRECT
        assert app.engine.lane is not None
        with pytest.raises(LaneUnavailable, match=r"write|replica"):
            await steady.shown(app.engine.lane, crew.view(app).epoch)
    await until(lambda: crew.view(app).mode is Mode.HYBRID, 30.0)
    await crew.enqueue(app, range(100, 200))
    await until(lambda: len(crew.ran) == 200)
    assert crew.numbers == list(range(200))


async def test_idle_workers_vote_a_lane_out_that_takes_no_writes(
    crew: Crew, valkey: EmbeddedValkey
) -> None:
    """With the lease that users have, of which the two seconds of a vote are longer than a rest."""
    app = await crew.hire(valkey.url)
    await crew.settled_in()
    await until(lambda: asked_what_is_ripe(valkey))
    with without_disk(valkey):
        began = time.monotonic()
        await crew.enqueue(app, range(10))
        await until(lambda: len(crew.ran) == 10)
        assert time.monotonic() - began < 5.0
        assert crew.view(app).mode is Mode.DIRECT
    assert crew.numbers == list(range(10))


def asked_what_is_ripe(valkey: EmbeddedValkey) -> bool:
    """Whether a worker does, as it does once its queues are empty for some seconds."""
    with redis.from_url(valkey.url) as client:
        return bool(client.script_exists(script("ripe").digest.decode())[0])


async def test_the_lane_comes_back(crew: Crew, valkey: EmbeddedValkey) -> None:
    app = await crew.hire(valkey.url, "3s")
    await crew.settled_in()
    with killed(valkey):
        await until(lambda: crew.view(app).mode is Mode.DIRECT)
        await crew.enqueue(app, range(100))
        await until(lambda: len(crew.ran) == 100)
    await until(lambda: crew.view(app).mode is Mode.HYBRID, 30.0)
    await crew.enqueue(app, range(100, 200))
    await until(lambda: len(crew.ran) == 200)
    assert crew.numbers == list(range(200))


async def test_a_worker_that_is_cut_off_alone_changes_nothing(
    crew: Crew, valkey: EmbeddedValkey, proxy: Proxy, sql: asyncpg.Connection
) -> None:
    """It leads the relays, too, and lets another lead."""
    alone = await crew.hire(proxy.url, "6s")
    other = await crew.hire(valkey.url, "6s")
    await crew.settled_in()
    leader = "SELECT holder FROM headrace.leader WHERE role = 'relay'"
    before = await sql.fetchval(leader)
    epoch = crew.view(other).epoch
    cut(proxy)
    await until(lambda: sql.fetchval("SELECT bool_or(away_at IS NOT NULL) FROM headrace.worker"))
    await crew.insert(range(100))
    await until(lambda: len(crew.ran) == 100, 20.0)
    assert {app for _, app, _ in crew.ran} == {other}
    assert await sql.fetchval(leader) != before
    assert (crew.view(other).mode, crew.view(other).epoch) == (Mode.HYBRID, epoch)
    assert crew.view(alone).epoch == epoch
    proxy.heal()


async def test_who_reaches_the_lane_goes_with_the_others_and_nothing_runs_twice(
    crew: Crew, valkey: EmbeddedValkey, proxy: Proxy
) -> None:
    """The lane lives, and has jobs; while some still take from it, the ledger gives out none."""
    cut_off = [await crew.hire(proxy.url, "3s") for _ in range(2)]
    reaching = await crew.hire(valkey.url, "3s")
    await crew.settled_in()
    producing = asyncio.create_task(crew.enqueue(reaching, range(3000)))
    await until(lambda: len(crew.ran) > 300)
    cut(proxy)
    await until(lambda: crew.view(reaching).mode is Mode.DIRECT, 20.0)
    await producing
    await until(lambda: len(crew.ran) >= 3000, 30.0)
    proxy.heal()
    await until(lambda: all(crew.view(app).mode is Mode.HYBRID for app in cut_off), 30.0)
    await crew.enqueue(cut_off[0], range(3000, 3100))
    await until(lambda: len(crew.ran) >= 3100)
    assert crew.numbers == list(range(3100))


async def test_a_worker_that_says_nothing_is_waited_for(
    crew: Crew, valkey: EmbeddedValkey, sql: asyncpg.Connection
) -> None:
    """It may run what it took from the lane, until its lease is over."""
    app = await crew.hire(valkey.url, "2s")
    await crew.settled_in()
    assert isinstance(app.engine, LedgeredEngine)
    silent = uuid4()
    await app.engine.ledger.register(silent, "elsewhere", os.getpid(), {"work": 1}, 2.0)
    epoch = crew.view(app).epoch
    with killed(valkey):
        # Two votes are a majority, and the silent one has given its own.
        await app.engine.ledger.lanes.vote(silent)
        await crew.enqueue(app, range(10))
        await until(lambda: crew.view(app).mode is Mode.DIRECT)
        assert not (await app.engine.ledger.lanes.view()).calm
        assert await sql.fetchval(WAITING) == 10
        await until(lambda: len(crew.ran) == 10, 20.0)
        gone = "SELECT reaped_at IS NOT NULL FROM headrace.worker WHERE id = $1"
        assert await sql.fetchval(gone, silent)
        assert crew.view(app).epoch == epoch + 1
