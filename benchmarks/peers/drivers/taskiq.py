"""taskiq on Redis streams.

https://taskiq-python.github.io/available-components/brokers.html and taskiq-redis' README:
RedisStreamBroker is the broker with acknowledgements;
https://taskiq-python.github.io/guide/cli.html: --max-async-tasks, and uvloop is used where
installed. It has no call for many jobs at once. Plain functions run in threads. Entries of a dead
worker are claimed when they have been idle for ten minutes. The stream is never trimmed by default.
"""

import uvloop
from redis.asyncio import Redis
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

from jobs import HANDLERS, Payload
from line import REDIS_URL, Driver, Facts

FACTS = Facts(
    docs="https://taskiq-python.github.io/available-components/brokers.html",
    settings="RedisStreamBroker, 50 async tasks, uvloop, no results",
    durability="append-only file everysec, at least once; the stream keeps finished jobs",
    cannot="no bulk call",
)
broker = RedisStreamBroker(url=REDIS_URL)
TASKS = {name: broker.register_task(handler, task_name=name) for name, handler in HANDLERS.items()}


class Producer:
    """The broker."""

    async def open(self) -> None:
        """Connect, and make the group."""
        await broker.startup()

    async def enqueue(self, task: str, job: Payload) -> None:
        """One XADD."""
        await TASKS[task].kiq(**job)

    async def held(self) -> int:
        """Delivered and not acknowledged, or not delivered."""
        async with Redis.from_url(REDIS_URL) as redis:
            group = (await redis.xinfo_groups(broker.queue_name))[0]
        return int(group["pending"]) + int(group["lag"] or 0)

    async def close(self) -> None:
        """Disconnect."""
        await broker.shutdown()


def work(concurrency: int) -> None:
    """As `taskiq worker --workers 1` does in its one process."""
    uvloop.run(_work(concurrency))


async def _work(concurrency: int) -> None:
    broker.is_worker_process = True
    await run_receiver_task(
        broker, max_async_tasks=concurrency, sync_workers=concurrency, run_startup=True
    )


Driver(FACTS, Producer, work, run=uvloop.run).main()
