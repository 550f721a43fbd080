"""RQ.

https://github.com/rq/rq/blob/master/docs/benchmark.md: SimpleWorker, which does not fork, is for
jobs of a few milliseconds. `enqueue_many` sends many in one pipeline. Results are not kept
(result_ttl=0). A worker process runs one job at a time, and so there is one running job to kill,
not fifty. Jobs of a dead worker are moved to the failed ones when their timeout (180 s) and a
minute are over.
"""

from collections.abc import Sequence

from redis import Redis
from rq import Queue, SimpleWorker
from rq.registry import StartedJobRegistry

from jobs import SYNC_HANDLERS, Payload
from line import BULK, REDIS_URL, Driver, Facts

FACTS = Facts(
    docs="https://github.com/rq/rq/blob/master/docs/benchmark.md",
    settings="SimpleWorker (no fork), enqueue_many, results not kept",
    durability="append-only file everysec; a killed worker's job fails",
    cannot="one job at a time a process",
)
FUNCTIONS = {name: f"jobs.{handler.__name__}" for name, handler in SYNC_HANDLERS.items()}


class Producer:
    """A queue."""

    def open(self) -> None:
        """Connect."""
        self._redis = Redis.from_url(REDIS_URL)
        self._queue = Queue(connection=self._redis)

    def enqueue(self, task: str, job: Payload) -> None:
        """One pipeline."""
        self._queue.enqueue(FUNCTIONS[task], kwargs=job, result_ttl=0)

    def bulk(self, task: str, jobs: Sequence[Payload]) -> None:
        """One pipeline for all."""
        name = FUNCTIONS[task]
        prepared = [Queue.prepare_data(name, kwargs=dict(job), result_ttl=0) for job in jobs]
        self._queue.enqueue_many(prepared)

    def held(self) -> int:
        """Waiting or started."""
        started = StartedJobRegistry(queue=self._queue).get_job_count(cleanup=False)
        return int(self._queue.count) + int(started)

    def close(self) -> None:
        """Disconnect."""
        self._redis.close()


def work(concurrency: int) -> None:  # noqa: ARG001 - one at a time
    """As `rq worker --worker-class rq.SimpleWorker` does."""
    redis = Redis.from_url(REDIS_URL)
    worker = SimpleWorker([Queue(connection=redis)], connection=redis)
    worker.work(logging_level="WARNING")


Driver(FACTS, Producer, work, bulk=BULK).main()
