"""What is measured, and the samples of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """What is measured.

    Attributes:
        label: head of a column.
        unit: of the samples.
        more_is_better: which end of a column is its best.
    """

    label: str
    unit: str
    more_is_better: bool = False


def _rate(label: str) -> Figure:
    return Figure(label, "jobs/s", more_is_better=True)


TABLES: dict[str, tuple[str, ...]] = {
    "Enqueue": ("enqueue_single", "enqueue_concurrent", "enqueue_bulk"),
    "Drain of no-op jobs, and both at once": ("drain_1", "drain_2", "mixed"),
    "Jobs of 5 ms": ("sleep", "block"),
    "Idle latency, from the call of enqueue to the start of the handler": (
        "latency_p50",
        "latency_p95",
        "latency_p99",
    ),
    "What a job costs": (
        "worker_cpu",
        "postgres_cpu",
        "valkey_cpu",
        "wal",
        "postgres_bytes",
        "valkey_bytes",
    ),
    "Drain at a backlog": ("backlog_1000", "backlog_10000", "backlog_100000", "backlog_1000000"),
    "After kill -9 of a worker with running jobs": (
        "recovery_running",
        "recovery",
        "recovery_rerun",
        "recovery_lost",
        "recovery_twice",
    ),
}

FIGURES: dict[str, Figure] = {
    "enqueue_single": _rate("one by one"),
    "enqueue_concurrent": _rate("100 callers"),
    "enqueue_bulk": _rate("bulk"),
    "drain_1": _rate("1 process"),
    "drain_2": _rate("2 processes"),
    "mixed": _rate("produce and drain"),
    "sleep": _rate("async, 1 process"),
    "block": _rate("blocking, 1 process"),
    "latency_p50": Figure("p50", "ms"),
    "latency_p95": Figure("p95", "ms"),
    "latency_p99": Figure("p99", "ms"),
    "worker_cpu": Figure("CPU, worker", "us"),
    "postgres_cpu": Figure("CPU, PostgreSQL", "us"),
    "valkey_cpu": Figure("CPU, Valkey", "us"),
    "wal": Figure("WAL, enqueue to done", "bytes"),
    "postgres_bytes": Figure("waiting, PostgreSQL", "bytes"),
    "valkey_bytes": Figure("waiting, Valkey", "bytes"),
    "backlog_1000": _rate("1,000"),
    "backlog_10000": _rate("10,000"),
    "backlog_100000": _rate("100,000"),
    "backlog_1000000": _rate("1,000,000"),
    "recovery": Figure("all run again after", "s"),
    "recovery_running": Figure("were running", "jobs", more_is_better=True),
    "recovery_rerun": Figure("ran again", "jobs", more_is_better=True),
    "recovery_lost": Figure("lost", "jobs"),
    "recovery_twice": Figure("ran again twice", "jobs"),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """Median and range of what was measured."""

    middle: float
    low: float
    high: float


@dataclass(slots=True)
class Results:
    """What a run has found out, by the name of the peer.

    Attributes:
        samples: by peer and figure.
        failures: why a measurement has no figure, by peer and measurement.
    """

    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, peer: str, measured: Mapping[str, float]) -> None:
        """Add a sample to each figure that is named."""
        for name, value in measured.items():
            self.samples.setdefault(peer, {}).setdefault(name, []).append(value)

    def fail(self, peer: str, measurement: str, reason: str) -> None:
        """Say why a measurement has no figure."""
        self.failures.setdefault(peer, {})[measurement] = reason

    def failed(self, peer: str, measurement: str) -> bool:
        """Whether it is not worth another try."""
        return measurement in self.failures.get(peer, {})

    def sample(self, peer: str, figure: str) -> Sample | None:
        """Median and range; None where nothing was measured."""
        taken = self.samples.get(peer, {}).get(figure)
        return Sample(median(taken), min(taken), max(taken)) if taken else None

    def has(self, figure: str) -> bool:
        """Whether any peer has it."""
        return any(figure in taken for taken in self.samples.values())

    def best(self, figure: str) -> float | None:
        """The best median of all peers; None where all are alike, or nothing was measured."""
        middles = {median(taken[figure]) for taken in self.samples.values() if figure in taken}
        if len(middles) < 2:
            return None
        return max(middles) if FIGURES[figure].more_is_better else min(middles)


def percentile(ordered: list[float], share: float) -> float:
    """The smallest of the ordered values that at least this share of them does not exceed."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]
