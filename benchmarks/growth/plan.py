"""The points of a run: one dimension grows, all others stay small."""

from collections.abc import Iterator
from dataclasses import dataclass, field

MODES = ("direct", "hybrid")
QUEUES, PROCESSES, TENANTS, HISTORY = "queues", "processes", "tenants", "history"


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement.

    Attributes:
        mode: how jobs are given out.
        dimension: what grows.
        size: how far.
    """

    mode: str
    dimension: str
    size: int

    def of(self, dimension: str, otherwise: int) -> int:
        """The size of any dimension here."""
        return self.size if dimension == self.dimension else otherwise

    @property
    def base(self) -> "Point":
        """The point that this one is, where nothing of it has grown."""
        return Point(self.mode, QUEUES, 1) if self.size <= 1 else self

    @property
    def watched_idle(self) -> bool:
        """Whether its idle cost is measured, too."""
        return self.dimension in {QUEUES, PROCESSES}


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of a run.

    Attributes:
        name: "default", "quick" or "full".
        jobs: that are drained at each point.
        jobs_a_queue: at least, so that many queues are not measured nearly empty.
        idle: seconds for which an idle point is watched.
        sizes: of each dimension.
    """

    name: str
    jobs: int
    jobs_a_queue: int
    idle: float
    sizes: dict[str, tuple[int, ...]] = field(hash=False)

    def points(self, modes: tuple[str, ...]) -> Iterator[Point]:
        """All, a dimension at a time, so that a noisy minute hits neighbours alike."""
        for dimension, sizes in self.sizes.items():
            for size in sizes:
                for mode in modes:
                    yield Point(mode, dimension, size)

    def jobs_of(self, point: Point) -> int:
        """How many jobs a point drains."""
        return max(self.jobs, point.of(QUEUES, 1) * self.jobs_a_queue)


QUICK = Plan(
    "quick",
    jobs=1_000,
    jobs_a_queue=10,
    idle=1.0,
    sizes={QUEUES: (1, 20), PROCESSES: (1, 2), TENANTS: (1, 50), HISTORY: (0, 5_000)},
)
DEFAULT = Plan(
    "default",
    jobs=10_000,
    jobs_a_queue=20,
    idle=8.0,
    sizes={
        QUEUES: (1, 10, 100, 1_000),
        PROCESSES: (1, 10, 50),
        HISTORY: (0, 100_000, 1_000_000),
        TENANTS: (1, 1_000),
    },
)
FULL = Plan(
    "full",
    jobs=DEFAULT.jobs,
    jobs_a_queue=DEFAULT.jobs_a_queue,
    idle=20.0,
    sizes={**DEFAULT.sizes, HISTORY: (0, 100_000, 1_000_000, 10_000_000)},
)
