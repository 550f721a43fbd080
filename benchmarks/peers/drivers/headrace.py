"""headrace, from the checkout: straight from PostgreSQL ("direct") or by a lane ("hybrid").

README.md, "Use it": `enqueue` and `enqueue_many` for producers, `headrace worker` for workers, the
extra `speed` (uvloop). A worker runs what the command line would run, with the same defaults.
"""

from collections.abc import Sequence

from headrace import Headrace
from headrace.bench.loop import run
from headrace.connect import inspecting
from headrace.ledger.migrate import migrate
from headrace.supervisor.node import run_node
from line import ASYNC_HANDLERS, BULK, DATABASE_URL, REDIS_URL, VARIANT, Driver, Facts, Payload, block

QUEUE = "bench"
HYBRID = VARIANT == "hybrid"
FACTS = Facts(
    docs="../../README.md#use-it",
    settings="defaults, extra `speed`" + (", a lane in Valkey" if HYBRID else ", no lane"),
    durability="durable at COMMIT, at least once; history kept",
)
app = Headrace("peers", database_url=DATABASE_URL, redis_url=REDIS_URL if HYBRID else None)


async def noop(i: int, x: str) -> None:  # noqa: ARG001 - the payload's filling
    await ASYNC_HANDLERS["noop"](i)


async def sleep(i: int, x: str) -> None:  # noqa: ARG001 - as above
    await ASYNC_HANDLERS["sleep"](i)


def blocking(i: int, x: str) -> None:  # noqa: ARG001 - as above
    block(i)


async def hold(i: int, x: str) -> None:  # noqa: ARG001 - as above
    await ASYNC_HANDLERS["hold"](i)


register = app.task(queue=QUEUE)
TASKS = {
    "noop": register(noop),
    "sleep": register(sleep),
    "block": register(blocking),
    "hold": register(hold),
}


class Producer:
    """An application that is started."""

    async def open(self) -> None:
        """Connect."""
        await app.start()

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
        """Disconnect."""
        await app.stop()


def work(concurrency: int) -> None:
    """As `headrace worker` does."""
    run(run_node(app, {QUEUE: concurrency}))


async def install() -> None:
    """As `headrace migrate` does."""
    await migrate(DATABASE_URL)


Driver(FACTS, Producer, work, install, bulk=BULK, run=run).main()
