"""The figures of a run: samples by name, with the limit that each is compared to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """What is measured.

    Attributes:
        label: for people.
        unit: of the samples.
        limit: the name of the figure that this one is divided by, sample by sample.
    """

    label: str
    unit: str
    limit: str | None = None


DIRECT, HYBRID = "direct", "hybrid"
LIMITS = {
    "round_trip": Figure("bare round trip", "ms"),
    "commit_loop": Figure("bare loop of single-row commits", "rows/s"),
    "batch_insert": Figure("bare insert of 1,000 rows a statement", "rows/s"),
    "lean_drain": Figure("lean worker: claim 100, complete 100", "jobs/s"),
}
ENQUEUE = {
    "enqueue_single": Figure("enqueue, one after the other", "jobs/s", "commit_loop"),
    "enqueue_concurrent": Figure("enqueue, 100 callers at once", "jobs/s", "batch_insert"),
    "enqueue_bulk": Figure("enqueue_many, 1,000 a call", "jobs/s", "batch_insert"),
    "row_bytes": Figure("a waiting job on disk, indexes included", "bytes"),
    "enqueue_wal": Figure("WAL of an insert", "bytes/job"),
}


def mode_figures(mode: str) -> dict[str, Figure]:
    """The figures of one way of dispatch, by name."""
    one, two = f"drain_{mode}_1", f"drain_{mode}_2"
    of_lane = {
        "lane_bytes": Figure("a waiting job in the lane's memory", "bytes"),
        f"{one}_lane_cpu": Figure("  CPU of the lane's server", "us/job"),
    }
    return {
        one: Figure(f"drain, {mode}, 1 worker process", "jobs/s", "lean_drain"),
        f"{one}_worker_cpu": Figure("  worker CPU", "us/job"),
        f"{one}_server_cpu": Figure("  server CPU", "us/job"),
        f"{one}_wal": Figure("  WAL of claim and completion", "bytes/job"),
        **(of_lane if mode == HYBRID else {}),
        two: Figure(f"drain, {mode}, 2 worker processes", "jobs/s", "lean_drain"),
        f"mixed_{mode}": Figure(f"100 callers and draining at once, {mode}", "jobs/s"),
        f"latency_{mode}_p50": Figure(f"enqueue to start, idle, {mode}: p50", "ms", "round_trip"),
        f"latency_{mode}_p95": Figure("  p95", "ms"),
        f"latency_{mode}_p99": Figure("  p99", "ms"),
        f"recovery_{mode}": Figure(f"kill -9 to all its jobs running again, {mode}", "s"),
    }


@dataclass(slots=True)
class Results:
    """Samples by the name of their figure."""

    figures: dict[str, Figure]
    samples: dict[str, list[float]] = field(default_factory=dict)

    def add(self, measured: Mapping[str, float]) -> None:
        """Add a sample to each figure that is named."""
        for name, value in measured.items():
            self.samples.setdefault(name, []).append(value)

    def ratio(self, name: str) -> float | None:
        """The median of sample / limit, each pair taken in the same repetition."""
        limit = self.figures[name].limit
        if limit is None:
            return None
        pairs = zip(self.samples[name], self.samples[limit], strict=False)
        return median(one / other for one, other in pairs)

    def rows(self) -> Iterator[tuple[str, Figure, list[float]]]:
        """What was measured, in order."""
        for name, figure in self.figures.items():
            if name in self.samples:
                yield name, figure, self.samples[name]
