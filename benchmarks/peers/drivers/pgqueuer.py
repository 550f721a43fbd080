"""PgQueuer over asyncpg.

https://janbjorge.github.io/pgqueuer/guides/performance-tuning: a pool as driver, and a larger
`batch_size` where jobs are short; lists of jobs in one `enqueue`. Its default durability keeps all
tables logged. Blocking code goes to threads, as its own error message says. Its
command line runs on uvloop where that is installed. It begins all jobs of a batch at once: there is
no limit but the optional `max_concurrent_tasks`, at least twice the batch.
"""

import json
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from jobs import ASYNC_HANDLERS, Handler, Payload
from line import BULK, DATABASE_URL, Driver, Facts

BATCH = 100
FACTS = Facts(
    docs="https://janbjorge.github.io/pgqueuer/guides/performance-tuning",
    settings=f"asyncpg pool, batch_size {BATCH}, uvloop",
    durability="durable at COMMIT, at least once; history in a log table",
)


class Producer:
    """Queries over a pool."""

    async def open(self) -> None:
        """Connect."""
        self._pool = await asyncpg.create_pool(DATABASE_URL, min_size=5, max_size=20)
        self._queries = Queries(AsyncpgPoolDriver(self._pool))

    async def enqueue(self, task: str, job: Payload) -> None:
        """One statement in a transaction of its own."""
        await self._queries.enqueue(task, json.dumps(job).encode())

    async def bulk(self, task: str, jobs: Sequence[Payload]) -> None:
        """One statement."""
        payloads = [json.dumps(job).encode() for job in jobs]
        await self._queries.enqueue([task] * len(jobs), payloads, [0] * len(jobs))

    async def held(self) -> int:
        """Rows of its queue."""
        held: int = await self._pool.fetchval("SELECT count(*) FROM pgqueuer")
        return held

    async def close(self) -> None:
        """Disconnect."""
        await self._pool.close()


async def _work() -> None:
    pool = await asyncpg.create_pool(DATABASE_URL, min_size=5, max_size=20)
    queue = PgQueuer(AsyncpgPoolDriver(pool))

    for name, handler in ASYNC_HANDLERS.items():
        queue.entrypoint(name)(_entrypoint(handler))
    await queue.run(batch_size=BATCH)


def _entrypoint(handler: Handler) -> Callable[[Job], Awaitable[None]]:
    async def entrypoint(job: Job) -> None:
        await handler(**json.loads(job.payload or b""))

    return entrypoint


def work(concurrency: int) -> None:  # noqa: ARG001 - a batch is what it runs at once
    """As `pgq run` does."""
    uvloop.run(_work())


async def install() -> None:
    """As `pgq install` does."""
    pool = await asyncpg.create_pool(DATABASE_URL, min_size=1, max_size=1)
    await Queries(AsyncpgPoolDriver(pool)).install()
    await pool.close()


Driver(FACTS, Producer, work, install, bulk=BULK, run=uvloop.run).main()
