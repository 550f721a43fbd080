"""What a run of the benchmark measures, and how much of it."""

from dataclasses import dataclass, replace

from headrace.bench.figures import DIRECT, HYBRID


@dataclass(frozen=True, slots=True)
class Options:
    """A run.

    Attributes:
        database_url: a PostgreSQL server to use; an embedded one when None. A database is made on
            it and dropped again.
        modes: the ways of dispatch to measure.
        json: print JSON instead of a table.
        concurrency: jobs that a worker process runs at once in drains.
        repetitions: of everything but latency and recovery.
        jobs: a backlog to drain.
        singles: jobs enqueued one by one.
        callers: who enqueue at once.
        lone: jobs enqueued to an idle worker.
        lease: of the worker that is killed, in seconds.
        trusted: measure the lane after its first minute, in which it has everything verified.
    """

    database_url: str | None = None
    modes: tuple[str, ...] = (DIRECT, HYBRID)
    json: bool = False
    concurrency: int = 100
    repetitions: int = 3
    jobs: int = 40_000
    singles: int = 3_000
    callers: int = 100
    lone: int = 100
    lease: float = 15.0
    trusted: bool = True

    def quick(self) -> "Options":
        """The same in half a minute to a minute: shows that it runs, not how fast."""
        return replace(
            self, repetitions=1, jobs=4_000, singles=300, lone=10, lease=1.5, trusted=False
        )
