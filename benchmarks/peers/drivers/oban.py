"""Oban for Python.

https://oban.pro/docs/py: a queue's limit is its concurrency; enqueue_many inserts many jobs in one
statement. Its command line runs on uvloop. Bulk acknowledgement, several processes and exact rescue
are of Oban Pro. Finished jobs are kept for a day. The leader's lifeline looks for orphans every
60 s, and rescues what has been executing for 5 minutes.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import uvloop
from oban import Oban, worker
from oban.job import Job
from oban.schema import install as install_schema

from jobs import ASYNC_HANDLERS, Handler, Payload
from line import BULK, DATABASE_URL, Driver, Facts

QUEUE = "bench"
FACTS = Facts(
    docs="https://oban.pro/docs/py",
    settings="queue limit 50, enqueue_many, uvloop",
    durability="durable at COMMIT, at least once; history kept for a day",
    cannot="acknowledge in bulk: that is of the paid edition",
)


def _worker(name: str, handler: Handler) -> Any:
    class OneTask:
        """A worker of Oban."""

        async def process(self, job: Job) -> None:
            """Run the handler."""
            await handler(**job.args)

    OneTask.__name__ = OneTask.__qualname__ = name.capitalize()
    return worker(queue=QUEUE)(OneTask)


WORKERS = {name: _worker(name, handler) for name, handler in ASYNC_HANDLERS.items()}


class Producer:
    """An instance without queues."""

    async def open(self) -> None:
        """Connect."""
        self._pool = await Oban.create_pool(DATABASE_URL, max_size=20)
        self._oban = Oban(pool=self._pool)

    async def enqueue(self, task: str, job: Payload) -> None:
        """One statement."""
        await self._oban.enqueue(WORKERS[task].new(dict(job)))

    async def bulk(self, task: str, jobs: Sequence[Payload]) -> None:
        """One statement."""
        new = WORKERS[task].new
        await self._oban.enqueue_many([new(dict(job)) for job in jobs])

    async def held(self) -> int:
        """Rows that are not finished."""
        query = (
            "SELECT count(*) FROM oban_jobs WHERE state NOT IN "
            "('completed', 'discarded', 'cancelled')"
        )
        async with self._pool.connection() as connection:
            row = await (await connection.execute(query)).fetchone()
        return int(row[0])

    async def close(self) -> None:
        """Disconnect."""
        await self._pool.close()


def work(concurrency: int) -> None:
    """As `oban start` does."""
    uvloop.run(_work(concurrency))


async def _work(concurrency: int) -> None:
    pool = await Oban.create_pool(DATABASE_URL, max_size=20)
    async with Oban(pool=pool, queues={QUEUE: concurrency}):
        await asyncio.Event().wait()


async def install() -> None:
    """As `oban install` does."""
    pool = await Oban.create_pool(DATABASE_URL)
    await install_schema(pool)
    await pool.close()


Driver(FACTS, Producer, work, install, bulk=BULK, run=uvloop.run).main()
