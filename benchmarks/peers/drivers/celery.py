"""Celery on Redis.

https://docs.celeryq.dev/en/stable/userguide/optimizing.html: a larger prefetch multiplier for many
short tasks, no results (ignore_result). https://docs.celeryq.dev/en/stable/userguide/concurrency/:
the thread pool for jobs that wait. Celery has no call for many jobs at once, and no coroutines:
they run by asyncio.run. By default a job is acknowledged before it runs (at most once); with
acks_late it would come back after visibility_timeout, an hour.
"""

from celery import Celery
from redis import Redis

from jobs import SYNC_HANDLERS, Payload
from line import REDIS_URL, Driver, Facts

FACTS = Facts(
    docs="https://docs.celeryq.dev/en/stable/userguide/optimizing.html",
    settings="thread pool of 50, prefetch multiplier 64, results ignored",
    durability="append-only file everysec, at most once by default",
    cannot="no bulk call, no coroutines",
)
app = Celery("peers", broker=REDIS_URL)
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=64,
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,
)
TASKS = {name: app.task(name=name)(handler) for name, handler in SYNC_HANDLERS.items()}


class Producer:
    """The application itself."""

    def open(self) -> None:
        """Connections are made when they are needed."""

    def enqueue(self, task: str, job: Payload) -> None:
        """One LPUSH."""
        TASKS[task].apply_async(kwargs=job)

    def held(self) -> int:
        """In the queue or unacknowledged."""
        with Redis.from_url(REDIS_URL) as redis:
            return int(redis.llen("celery")) + int(redis.hlen("unacked"))

    def close(self) -> None:
        """Disconnect."""
        app.close()


def work(concurrency: int) -> None:
    """As `celery worker` does."""
    options = ["--pool=threads", f"--concurrency={concurrency}", "--loglevel=WARNING"]
    app.worker_main(["--quiet", "worker", *options, "--without-gossip", "--without-mingle"])


Driver(FACTS, Producer, work).main()
