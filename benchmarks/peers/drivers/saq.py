"""SAQ on Redis.

https://saq-py.readthedocs.io/: concurrency for jobs that wait, hiredis, plain functions run in
threads. It has no call for many jobs at once but `map`, which waits for them. A job that a dead
worker ran is found by the sweep, every 60 s, once its timeout (10 s) is over.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from saq import Queue, Worker

from jobs import HANDLERS, Handler, Payload
from line import REDIS_URL, Driver, Facts

FACTS = Facts(
    docs="https://saq-py.readthedocs.io/en/latest/",
    settings="concurrency 50, hiredis",
    durability="append-only file everysec, one try by default",
    cannot="no bulk call",
)


class Producer:
    """A queue."""

    async def open(self) -> None:
        """Connect."""
        self._queue = Queue.from_url(REDIS_URL)
        await self._queue.connect()

    async def enqueue(self, task: str, job: Payload) -> None:
        """One script."""
        await self._queue.enqueue(task, **job)

    async def held(self) -> int:
        """Queued, active or scheduled."""
        return int(await self._queue.count("incomplete"))

    async def close(self) -> None:
        """Disconnect."""
        await self._queue.disconnect()


def work(concurrency: int) -> None:
    """As `saq` does."""
    asyncio.run(_work(concurrency))


async def _work(concurrency: int) -> None:
    functions = [(name, _with_context(name, one)) for name, one in HANDLERS.items()]
    await Worker(Queue.from_url(REDIS_URL), functions, concurrency=concurrency).start()


def _with_context(name: str, handler: Handler) -> Callable[..., Any]:
    if name == "block":
        return lambda _context, i, x: handler(i, x)

    async def job(_context: dict[str, object], i: int, x: str) -> None:
        await handler(i, x)

    return job


Driver(FACTS, Producer, work).main()
