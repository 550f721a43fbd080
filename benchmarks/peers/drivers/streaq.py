"""streaq, on Redis streams.

https://streaq.readthedocs.io/en/latest/ and
https://github.com/tastyware/streaq/tree/master/benchmarks: concurrency for jobs that wait,
enqueue_many in one pipeline; plain functions run in threads (sync_concurrency); silent tasks write
no line of log; ttl=0 keeps no results. What a dead worker held is taken over after idle_timeout (60
s).
"""

from collections.abc import Sequence

from streaq import Worker

from jobs import HANDLERS, Payload
from line import BULK, REDIS_URL, Driver, Facts

CONCURRENCY = 50
FACTS = Facts(
    docs="https://github.com/tastyware/streaq/tree/master/benchmarks",
    settings="concurrency 50, enqueue_many, silent tasks, no results",
    durability="append-only file everysec, at least once; finished jobs removed",
)
worker = Worker(REDIS_URL, concurrency=CONCURRENCY, sync_concurrency=CONCURRENCY)
TASKS = {
    name: worker.task(name=name, silent=True, ttl=0)(handler) for name, handler in HANDLERS.items()
}


class Producer:
    """The worker's client."""

    async def open(self) -> None:
        """Connect."""
        await worker.__aenter__()

    async def enqueue(self, task: str, job: Payload) -> None:
        """One script."""
        await TASKS[task].enqueue(**job)

    async def bulk(self, task: str, jobs: Sequence[Payload]) -> None:
        """One pipeline."""
        enqueue = TASKS[task].enqueue
        await worker.enqueue_many([enqueue(**job) for job in jobs])

    async def held(self) -> int:
        """In the stream, running or not."""
        return int(await worker.queue_size())

    async def close(self) -> None:
        """Disconnect."""
        await worker.__aexit__(None, None, None)


def work(concurrency: int) -> None:  # noqa: ARG001 - the worker is made with it
    """As `streaq run` does."""
    worker.run_sync()


Driver(FACTS, Producer, work, bulk=BULK).main()
