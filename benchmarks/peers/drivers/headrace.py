"""headrace, from the checkout: straight from PostgreSQL ("direct") or by a lane ("hybrid").

README.md, "Use it": `enqueue` and `enqueue_many` for producers, `headrace worker` for workers, the
extra `speed` (uvloop). A worker runs what the command line would run, with the same defaults. A new
lane verifies all that it gives out for a minute; the hybrid variant begins where that is over.
"""

import asyncio
from collections.abc import Sequence

from redis.asyncio import Redis

from headrace import Headrace
from headrace.bench.loop import run
from headrace.connect import inspecting
from headrace.engines.ledgered import LedgeredEngine
from headrace.ledger.migrate import migrate
from headrace.model.lane_view import Mode
from headrace.relay.services import services
from headrace.service import running
from headrace.supervisor.node import run_node
from jobs import HANDLERS, Payload
from line import BULK, DATABASE_URL, REDIS_URL, VARIANT, Driver, Facts

QUEUE = "bench"
HYBRID = VARIANT == "hybrid"
FACTS = Facts(
    docs="../start/first-job.md",
    settings="defaults, extra `speed`"
    + (", a lane in Valkey that is past its first minute" if HYBRID else ", no lane"),
    durability="durable at COMMIT, at least once; history kept",
)
app = Headrace("peers", database_url=DATABASE_URL, redis_url=REDIS_URL if HYBRID else None)


TASKS = {name: app.task(queue=QUEUE)(handler) for name, handler in HANDLERS.items()}


class Producer:
    """An application that is started."""

    async def open(self) -> None:
        """Connect, and see to it that the lane is open, as it is where workers have run before."""
        await app.start()
        if HYBRID:
            await _open_lane()

    async def enqueue(self, task: str, job: Payload) -> None:
        """Returns at COMMIT."""
        await TASKS[task].enqueue(**job)

    async def bulk(self, task: str, jobs: Sequence[Payload]) -> None:
        """One statement, one COMMIT."""
        make = TASKS[task].job
        await app.enqueue_many([make(**job) for job in jobs])

    async def held(self) -> int:
        """Rows that are live."""
        async with inspecting(app.settings) as inspector:
            return sum(queue.live for queue in await inspector.queues())

    async def close(self) -> None:
        """Disconnect; somebody has looked after the lane meanwhile, as in a deployment."""
        if HYBRID:
            await _trust_lane()
        await app.stop()


async def _open_lane() -> None:
    """Let the lane be as where workers have run for a while: open, and trusted."""
    engine = app.engine
    assert isinstance(engine, LedgeredEngine)
    # The relay that every worker process runs beside its worker.
    async with running(services(engine)):
        while (view := await engine.ledger.lanes.view()).mode is not Mode.HYBRID:
            await asyncio.sleep(0.02)  # the relay tells nobody
    await engine.ledger.lanes.calm(view.epoch)
    engine.heed(await engine.ledger.lanes.view())
    await _trust_lane()


async def _trust_lane() -> None:
    """For its first minute, and for one after nobody looked at it, a lane has all verified."""
    async with Redis.from_url(REDIS_URL) as redis:
        async for meta in redis.scan_iter("{headrace:*}:meta"):
            seconds, microseconds = await redis.time()
            now = seconds * 1000 + microseconds // 1000
            await redis.hset(meta, mapping={"suspect": 0, "clock": now})


def work(concurrency: int) -> None:
    """As `headrace worker` does."""
    run(run_node(app, {QUEUE: concurrency}))


async def install() -> None:
    """As `headrace migrate` does."""
    await migrate(DATABASE_URL)


Driver(FACTS, Producer, work, install, bulk=BULK, run=run).main()
