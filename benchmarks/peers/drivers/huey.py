"""Huey on Redis.

https://huey.readthedocs.io/en/latest/consumer.html: threads for jobs that wait; RedisHuey waits for
jobs by a blocking pop; results=False stores none. It has no call for many jobs at once and no
coroutines: they run by asyncio.run. A job is taken off the list before it runs, so that a killed
worker loses it.
"""

import logging

from huey import RedisHuey

from jobs import SYNC_HANDLERS, Payload
from line import REDIS_URL, Driver, Facts

FACTS = Facts(
    docs="https://huey.readthedocs.io/en/latest/consumer.html",
    settings="50 threads, blocking pop, no results",
    durability="append-only file everysec, at most once",
    cannot="no bulk call, no coroutines, no recovery",
)
huey = RedisHuey("peers", url=REDIS_URL, results=False)
TASKS = {name: huey.task(name=name)(handler) for name, handler in SYNC_HANDLERS.items()}


class Producer:
    """Huey itself."""

    def open(self) -> None:
        """Connections are made when they are needed."""

    def enqueue(self, task: str, job: Payload) -> None:
        """One LPUSH."""
        TASKS[task](**job)

    def held(self) -> int:
        """In the list."""
        return int(huey.pending_count())

    def close(self) -> None:
        """Disconnect."""
        huey.storage.conn.close()


def work(concurrency: int) -> None:
    """As `huey_consumer` does."""
    logging.getLogger("huey").setLevel(logging.WARNING)
    huey.create_consumer(workers=concurrency, periodic=False).run()


Driver(FACTS, Producer, work).main()
