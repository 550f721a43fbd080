"""Dramatiq on Redis.

https://dramatiq.io/guide.html: threads for jobs that wait; https://dramatiq.io/reference.html: the
AsyncIO middleware runs coroutines in one event loop. It has no call for many jobs at once. A
worker's jobs come back when it has not been heard of for a minute (heartbeat_timeout) and another
one, by chance at some of its fetches, looks for the dead.
"""

import threading

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware.asyncio import AsyncIO

from jobs import HANDLERS, Payload
from line import REDIS_URL, Driver, Facts

FACTS = Facts(
    docs="https://dramatiq.io/guide.html",
    settings="50 threads, AsyncIO middleware",
    durability="append-only file everysec, at least once; finished jobs removed",
    cannot="no bulk call",
)
broker = RedisBroker(url=REDIS_URL)
broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)
ACTORS = {name: dramatiq.actor(actor_name=name)(handler) for name, handler in HANDLERS.items()}


class Producer:
    """The broker's client."""

    def open(self) -> None:
        """Connections are made when they are needed."""

    def enqueue(self, task: str, job: Payload) -> None:
        """One script."""
        ACTORS[task].send(**job)

    def held(self) -> int:
        """Messages that nobody has acknowledged."""
        return int(broker.client.hlen("dramatiq:default.msgs"))

    def close(self) -> None:
        """Disconnect."""
        broker.close()


def work(concurrency: int) -> None:
    """As `dramatiq --processes 1` does in its one process."""
    dramatiq.Worker(broker, worker_threads=concurrency).start()
    threading.Event().wait()


Driver(FACTS, Producer, work).main()
