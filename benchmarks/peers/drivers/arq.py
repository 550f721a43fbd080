"""arq.

https://arq-docs.helpmanual.io/: max_jobs for jobs that wait; keep_result=0 stores no results;
hiredis parses. It looks for jobs every poll_delay (0.5 s) and has no call for many jobs at once.
Blocking code goes through an executor, as its "Synchronous Jobs" says. A running job is locked for
its timeout (300 s).
"""

import asyncio
from collections.abc import Awaitable, Callable

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

from jobs import ASYNC_HANDLERS, Handler, Payload
from line import REDIS_URL, Driver, Facts

FACTS = Facts(
    docs="https://arq-docs.helpmanual.io/",
    settings="max_jobs 50, no results, hiredis",
    durability="append-only file everysec, at least once; finished jobs removed",
    cannot="no bulk call; polls every 0.5 s",
)
SETTINGS = RedisSettings.from_dsn(REDIS_URL)


class Producer:
    """A pool."""

    async def open(self) -> None:
        """Connect."""
        self._pool = await create_pool(SETTINGS)

    async def enqueue(self, task: str, job: Payload) -> None:
        """One transaction of Redis."""
        await self._pool.enqueue_job(task, **job)

    async def held(self) -> int:
        """In the queue; a running job is there, too."""
        return int(await self._pool.zcard("arq:queue"))

    async def close(self) -> None:
        """Disconnect."""
        await self._pool.close()


def work(concurrency: int) -> None:
    """As `arq` does."""
    functions = [func(_with_context(one), name=name) for name, one in ASYNC_HANDLERS.items()]
    asyncio.set_event_loop(asyncio.new_event_loop())  # the worker asks for the current one
    Worker(
        functions, redis_settings=SETTINGS, max_jobs=concurrency, keep_result=0, log_results=False
    ).run()


def _with_context(handler: Handler) -> Callable[..., Awaitable[None]]:
    async def job(_context: dict[str, object], i: int, x: str) -> None:
        await handler(i, x)

    return job


Driver(FACTS, Producer, work).main()
