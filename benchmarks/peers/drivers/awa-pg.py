"""awa, a Rust core under Python.

https://github.com/hardbyte/awa (README of awa-pg): enqueue_many_copy streams many jobs by COPY into
its queue storage; start([(queue, workers)]) sets the concurrency. Blocking code goes to
threads. A job whose worker sends no heartbeat for 90 s is rescued.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from awa import AsyncClient

from jobs import ASYNC_HANDLERS, Handler, Payload
from line import BULK, DATABASE_URL, Driver, Facts

QUEUE = "bench"
FACTS = Facts(
    docs="https://github.com/hardbyte/awa/blob/main/docs/configuration.md",
    settings="50 workers, enqueue_many_copy",
    durability="durable at COMMIT, at least once; history kept",
)


@dataclass
class Noop:
    """Arguments of the job that does nothing."""

    i: int
    x: str


@dataclass
class Sleep:
    """Arguments of the job of 5 ms."""

    i: int
    x: str


@dataclass
class Block:
    """Arguments of the job that holds a thread."""

    i: int
    x: str


@dataclass
class Hold:
    """Arguments of the job that is killed."""

    i: int
    x: str


KINDS: dict[str, type] = {"noop": Noop, "sleep": Sleep, "block": Block, "hold": Hold}


class Producer:
    """A client."""

    async def open(self) -> None:
        """Connect."""
        self._client = AsyncClient(DATABASE_URL, max_connections=20)

    async def enqueue(self, task: str, job: Payload) -> None:
        """One statement."""
        await self._client.insert(KINDS[task](**job), queue=QUEUE)

    async def bulk(self, task: str, jobs: Sequence[Payload]) -> None:
        """One COPY."""
        kind = KINDS[task]
        await self._client.enqueue_many_copy([kind(**job) for job in jobs], queue=QUEUE)

    async def held(self) -> int:
        """Jobs that are not finished."""
        stats = await self._client.queue_stats()
        return sum(one.available + one.running + one.scheduled + one.retryable for one in stats)

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()


def work(concurrency: int) -> None:
    """Until killed."""
    asyncio.run(_work(concurrency))


async def _work(concurrency: int) -> None:
    client = AsyncClient(DATABASE_URL, max_connections=20)
    for name, handler in ASYNC_HANDLERS.items():
        client.task(KINDS[name], queue=QUEUE)(_with_job(handler))
    await client.start([(QUEUE, concurrency)])
    await asyncio.Event().wait()


def _with_job(handler: Handler) -> Callable[..., Awaitable[None]]:
    async def run(job: Any) -> None:
        await handler(job.args.i, job.args.x)

    return run


async def install() -> None:
    """Its migrations, and its queue storage, which the first worker would make."""
    async with AsyncClient(DATABASE_URL) as client:
        await client.migrate()
        await client.install_queue_storage(schema="awa")


Driver(FACTS, Producer, work, install, bulk=BULK).main()
