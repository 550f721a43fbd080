"""What a job costs in statements and script calls: counted, so that no noise can hide it.

The bounds leave a third above what was counted when they were set; double the work, and they fail.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from headrace import Headrace
from headrace.engines.ledgered import LedgeredEngine
from headrace.lanes.redis.connection import Link
from headrace.lanes.redis.scripts import Script
from headrace.ledger.queries import Queries
from headrace.ledger.rows import Row
from headrace.task import AsyncTask
from headrace.worker.worker import Worker
from integration.served import MODES, served, until
from steady_pace import SteadyPace

QUEUE = "counted"
STRICT = "strict"
JOBS = 2_000
AHEAD = 100  # jobs at once: as a queue reaches at 4,000 jobs a second
# What jobs ask for. The services beside ask by the clock, however many jobs there are.
STATEMENTS = {"due", "insert", "claim", "claim_known", "charge", "settle_completed", "stale"}
SCRIPTS = {"put", "ripe", "take", "ack"}
# Calls for a batch of jobs that is drained. In its first minute a lane's entries are all verified.
BOUNDS = {
    "direct": {"claim": 1.5, "charge": 1.4, "settle_completed": 1.5, "due": 0.1},
    "hybrid": {
        "lane take": 1.5,
        "stale": 1.5,
        "charge": 1.4,
        "settle_completed": 1.5,
        "lane put": 0.5,
        "lane ack": 0.3,
        "due": 0.1,
        "lane ripe": 0.1,
    },
}


# Of a strict queue, in either mode: what a lane gave is claimed where others are verified.
STRICT_BOUNDS = {
    "direct": BOUNDS["direct"],
    "hybrid": {**BOUNDS["hybrid"], "claim_known": BOUNDS["hybrid"]["stale"], "stale": 0.0},
}


@pytest.fixture
async def counts(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counter[str]]:
    """Statements and scripts by name, from when it is cleared."""
    counted: Counter[str] = Counter()
    fetch, run = Queries.fetch, Link.run

    async def counting_fetch(self: Queries, name: str, *parameters: object) -> Sequence[Row]:
        if name in STATEMENTS:
            counted[name] += 1
        return await fetch(self, name, *parameters)

    async def counting_run(self: Link, script: Script, *call: object) -> object:
        if script.name in SCRIPTS:
            counted[f"lane {script.name}"] += 1
        return await run(self, script, *call)  # type: ignore[arg-type] # passed on as they come

    monkeypatch.setattr(Queries, "fetch", counting_fetch)
    monkeypatch.setattr(Link, "run", counting_run)
    yield counted


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=15) as app:
        yield app


@pytest.fixture
def work(app: Headrace) -> Iterator[AsyncTask[[str], None]]:
    @app.task(queue=QUEUE)
    async def noop(filling: str) -> None: ...

    yield noop


async def test_enqueueing_in_bulk(
    app: Headrace, work: AsyncTask[[str], None], counts: Counter[str]
) -> None:
    await app.enqueue_many([work.job("x") for _ in range(10)])
    counts.clear()
    await app.enqueue_many([work.job("x") for _ in range(1_000)])
    assert counts["insert"] == 1
    assert counts["lane put"] <= 4


async def test_a_hundred_callers_at_once(
    app: Headrace, work: AsyncTask[[str], None], counts: Counter[str]
) -> None:
    """Who calls in one turn of the loop travels in one statement, and in one put."""
    await work.enqueue("x")
    if app.settings.redis_url is not None:
        await until(lambda: counts["lane put"])  # behind its caller's back
    counts.clear()
    await asyncio.gather(*(work.enqueue("x") for _ in range(100)))
    assert counts["insert"] == 1
    assert counts["lane put"] <= 1 + 2  # the relay's first walk of the lane may meet them, too


@pytest.mark.parametrize("queue", [QUEUE, STRICT])
async def test_draining(
    app: Headrace, work: AsyncTask[[str], None], counts: Counter[str], queue: str
) -> None:
    app.queue(STRICT, promise="strict")
    await app.enqueue_many([work.options(queue=queue).job("x") for _ in range(JOBS)])
    counts.clear()
    await Worker(app, {queue: 10}, pace=lambda: SteadyPace(AHEAD)).run(burst=True)
    assert isinstance(app.engine, LedgeredEngine)
    calls = {name: n / (JOBS / AHEAD) for name, n in counts.items()}
    bounds = (STRICT_BOUNDS if queue == STRICT else BOUNDS)[app.engine.view.mode]
    assert calls.keys() <= bounds.keys()
    assert {name: n for name, n in calls.items() if n > bounds[name]} == {}
