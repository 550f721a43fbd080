"""BullMQ's port to Python, on Redis.

https://docs.bullmq.io/python/introduction and https://docs.bullmq.io/guide/workers/concurrency:
concurrency for jobs that wait, addBulk for many; removeOnComplete keeps Redis from growing.
Blocking code goes to threads.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from bullmq import Job, Queue, Worker

from jobs import ASYNC_HANDLERS, Payload
from line import BULK, REDIS_URL, Driver, Facts

NAME = "bench"
FACTS = Facts(
    docs="https://docs.bullmq.io/python/introduction",
    settings="concurrency 50, addBulk, finished jobs removed",
    durability="append-only file everysec, at least once; finished jobs removed",
)
OPTIONS = {"removeOnComplete": True}


class Producer:
    """A queue."""

    async def open(self) -> None:
        """Connect."""
        self._queue = Queue(NAME, {"connection": REDIS_URL})

    async def enqueue(self, task: str, job: Payload) -> None:
        """One script."""
        await self._queue.add(task, dict(job), OPTIONS)

    async def bulk(self, task: str, jobs: Sequence[Payload]) -> None:
        """One transaction of scripts."""
        await self._queue.addBulk(
            [{"name": task, "data": dict(job), "opts": OPTIONS} for job in jobs]
        )

    async def held(self) -> int:
        """Waiting or active."""
        counts = await self._queue.getJobCounts("wait", "active", "delayed", "prioritized")
        return sum(counts.values())

    async def close(self) -> None:
        """Disconnect."""
        await self._queue.close()


def work(concurrency: int) -> None:
    """Until killed."""
    asyncio.run(_work(concurrency))


async def _work(concurrency: int) -> None:
    worker = Worker(NAME, _process, {"connection": REDIS_URL, "concurrency": concurrency})
    await asyncio.Event().wait()
    await worker.close()


async def _process(job: Job, _token: str) -> Any:
    await ASYNC_HANDLERS[job.name](**job.data)


Driver(FACTS, Producer, work, bulk=BULK).main()
