"""How large a run is: by default within an hour, quick in minutes, full beyond."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of a run; times in seconds.

    Attributes:
        name: "default", "quick" or "full".
        rounds: repetitions.
        enqueue: how long each way of enqueueing is measured.
        fill: how long a backlog to drain may take to make.
        drain: how long a drain is measured.
        mixed: how long is produced while workers drain.
        latency_jobs: enqueued one by one on an idle system.
        latency_gap: mean time between them.
        recovery: how long jobs of killed workers are waited for; 0 leaves it out.
        backlogs: sizes.
        window: how long the drain of a backlog is measured.
        prefill: how long the largest backlog may take to make.
        limit: when no further backlog is begun, counted from the start.
        concurrency: jobs at once in a worker process.
        only: the repeated measurements that are done; all where empty.
    """

    name: str
    rounds: int
    enqueue: float
    fill: float
    drain: float
    mixed: float
    latency_jobs: int
    latency_gap: float
    recovery: float
    backlogs: tuple[int, ...]
    window: float
    prefill: float
    limit: float
    concurrency: int = 50
    only: tuple[str, ...] = ()

    @property
    def rounds_limit(self) -> float:
        """When no further round is begun: recovery and backlogs need the last quarter."""
        return self.limit * 3 / 4

    @property
    def drain_most(self) -> int:
        """Jobs that a backlog to drain has at most."""
        return round(40_000 * self.drain)


DEFAULT = Plan(
    name="default",
    rounds=3,
    enqueue=0.7,
    fill=2.5,
    drain=2.0,
    mixed=1.5,
    latency_jobs=100,
    latency_gap=0.02,
    recovery=120.0,
    backlogs=(10_000, 100_000, 1_000_000),
    window=20.0,
    prefill=300.0,
    limit=56 * 60.0,
)
QUICK = Plan(
    name="quick",
    rounds=1,
    enqueue=0.2,
    fill=0.5,
    drain=0.5,
    mixed=0.3,
    latency_jobs=20,
    latency_gap=0.01,
    recovery=0.0,
    backlogs=(1_000,),
    window=0.5,
    prefill=2.0,
    limit=280.0,
    only=("enqueue", "drain_1", "latency"),
)
FULL = Plan(
    name="full",
    rounds=5,
    enqueue=3.0,
    fill=15.0,
    drain=6.0,
    mixed=6.0,
    latency_jobs=400,
    latency_gap=0.02,
    recovery=120.0,
    backlogs=(10_000, 100_000, 1_000_000),
    window=20.0,
    prefill=300.0,
    limit=float("inf"),
)


def rotated(peers: Sequence[T], turn: int) -> list[T]:
    """The same peers, beginning with another one each turn."""
    if not peers:
        return []
    start = turn * max(1, len(peers) // 3) % len(peers)
    return [*peers[start:], *peers[:start]]
