"""Procrastinate over psycopg 3.

https://procrastinate.readthedocs.io/en/stable/howto/basics/worker.html: concurrency for coroutines;
https://procrastinate.readthedocs.io/en/stable/howto/basics/batch_defer.html: many jobs in one call;
https://procrastinate.readthedocs.io/en/stable/howto/production/delete_finished_jobs.html: finished
jobs are deleted, which keeps the table small. Plain functions run in threads. Jobs of a dead worker
stay "doing" until the application asks for stalled jobs and retries them; nothing does by default.
"""

import asyncio
from collections.abc import Sequence

import psycopg
from procrastinate import App, PsycopgConnector

from jobs import HANDLERS, Payload
from line import BULK, DATABASE_URL, Driver, Facts

FACTS = Facts(
    docs="https://procrastinate.readthedocs.io/en/stable/howto/basics/worker.html",
    settings="concurrency 50, batch_defer, finished jobs deleted",
    durability="durable at COMMIT, at least once; rows deleted",
    cannot="a dead worker's jobs wait for the application to retry them",
)
app = App(connector=PsycopgConnector(conninfo=DATABASE_URL, max_size=20))
TASKS = {name: app.task(name=name)(handler) for name, handler in HANDLERS.items()}


class Producer:
    """The application."""

    async def open(self) -> None:
        """Connect."""
        await app.open_async()

    async def enqueue(self, task: str, job: Payload) -> None:
        """One statement."""
        await TASKS[task].defer_async(**job)

    async def bulk(self, task: str, jobs: Sequence[Payload]) -> None:
        """One statement."""
        await TASKS[task].batch_defer_async(*jobs)

    async def held(self) -> int:
        """Rows that are not finished."""
        query = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        async with await psycopg.AsyncConnection.connect(DATABASE_URL) as connection:
            row = await (await connection.execute(query)).fetchone()
        return int(row[0]) if row else 0

    async def close(self) -> None:
        """Disconnect."""
        await app.close_async()


def work(concurrency: int) -> None:
    """As `procrastinate worker` does."""
    asyncio.run(_work(concurrency))


async def _work(concurrency: int) -> None:
    async with app.open_async():
        await app.run_worker_async(concurrency=concurrency, delete_jobs="successful")


async def install() -> None:
    """As `procrastinate schema --apply` does."""
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


Driver(FACTS, Producer, work, install, bulk=BULK).main()
