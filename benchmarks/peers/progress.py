"""How far a run is: a bar with the time left on a terminal, lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from benchmarks.peers.plan import Plan

_START = 3.0  # seconds of servers, producer and worker in each measurement


class Progress:
    """The bar; it counts in seconds that the steps were expected to take."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            speed_estimate_period=600.0,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._expected: dict[str, float] = {}
        self._phase = ""

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show it."""
        with self._bar:
            yield

    def plan(self, plan: Plan, peers: int) -> None:
        """Know what is to come."""
        self._expected = expected_seconds(plan, peers)
        rounds = plan.rounds * peers
        once = {"recovery": 1}
        total = sum(
            seconds * once.get(name, peers if name.startswith("backlog") else rounds)
            for name, seconds in self._expected.items()
        )
        self._bar.update(self._task, total=total)

    def say(self, phase: str, what: str) -> None:
        """Tell what is being done."""
        if phase != self._phase and not self._console.is_terminal:
            self._console.print(phase)
        self._phase = phase
        self._bar.update(self._task, description=f"{phase}: {what}")

    def done(self, step: str) -> None:
        """A step is over."""
        self._bar.advance(self._task, self._expected[step])

    def complain(self, what: str) -> None:
        """Tell of a measurement that has no figure."""
        self._console.print(what, highlight=False, markup=False)


def expected_seconds(plan: Plan, peers: int) -> dict[str, float]:
    """What each step will take, roughly."""
    drain = _START + plan.fill / 2 + plan.drain
    expected = {
        "enqueue": _START + 2.5 * plan.enqueue,
        **dict.fromkeys(("drain_1", "drain_2", "sleep", "block"), drain),
        "mixed": _START + 2 * plan.mixed,
        "latency": _START + plan.latency_jobs * plan.latency_gap,
        "recovery": plan.recovery + 3 * peers if plan.recovery else 0.0,
        **{
            f"backlog_{size}": _START + size / 15_000 + min(plan.window, size / 5_000)
            for size in plan.backlogs
        },
    }
    repeated = {"enqueue", "drain_1", "drain_2", "sleep", "block", "mixed", "latency"}
    left_out = repeated - set(plan.only) if plan.only else set()
    return {name: seconds for name, seconds in expected.items() if name not in left_out}
