"""The order of the measurements: all in turn, round by round, so that a noisy minute hits all."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from headrace.bench import draining, enqueueing, limits, waiting
from headrace.bench.database import Database, fresh_database
from headrace.bench.figures import ENQUEUE, HYBRID, LIMITS, Results, mode_figures
from headrace.bench.lane import LanedDatabase, measure_lane_memory
from headrace.bench.options import Options
from headrace.bench.order import Order
from headrace.bench.progress import Tell, progress
from headrace.bench.tasks import BenchApp

_Measurement = Callable[[], Awaitable[Mapping[str, float]]]


async def measure_all(server_url: str, redis_url: str, options: Options) -> tuple[Results, str]:
    """Measure everything that the options ask for; also returns PostgreSQL's version."""
    figures = LIMITS | ENQUEUE
    async with AsyncExitStack() as stack:
        modes: list[Mode] = []
        for name in options.modes:
            database = await stack.enter_async_context(fresh_database(server_url))
            modes.append(Mode(name, database, redis_url, options))
            await stack.enter_async_context(modes[-1].bench.app)
            figures |= mode_figures(name)
        results = Results(figures)
        often = _common(modes[0], options)
        for mode in modes:
            often |= mode.often()
        once: dict[str, _Measurement] = {}
        for mode in modes:
            once |= mode.once()
        with progress(options.repetitions * len(often) + len(once)) as tell:
            for turn in range(options.repetitions):
                await _round(f"{turn + 1} of {options.repetitions}", often, results, tell)
            await _round("last", once, results, tell)
        return results, await modes[0].database.version()


async def _round(
    name: str, measurements: Mapping[str, _Measurement], results: Results, tell: Tell
) -> None:
    for what, measure in measurements.items():
        tell(f"round {name}: {what}")
        results.add(await measure())


def _common(mode: "Mode", options: Options) -> dict[str, _Measurement]:
    database, bench = mode.database, mode.bench
    return {
        "round trip": lambda: limits.measure_round_trip(database),
        "commit loop": lambda: limits.measure_commit_loop(database, options.singles),
        "enqueue": lambda: enqueueing.measure_single(database, bench, options.singles),
        "batch insert": lambda: limits.measure_batch_insert(database, options.jobs),
        "enqueue in bulk": lambda: enqueueing.measure_bulk(database, bench, options.jobs),
        "enqueue concurrently": lambda: enqueueing.measure_concurrent(
            database, bench, options.jobs, options.callers
        ),
        "lean worker": lambda: draining.measure_lean(
            database, Order(database_url=database.url, lean=True), options.jobs
        ),
    }


class Mode:
    """A way of dispatch and its measurements.

    Attributes:
        name: DIRECT or HYBRID.
        bench: the application, dispatching that way.
        database: of its own.
    """

    def __init__(self, name: str, database: Database, redis_url: str, options: Options) -> None:
        carried = redis_url if name == HYBRID else None
        self.name = name
        self.bench: BenchApp = BenchApp(database.url, carried)
        self.database: LanedDatabase | Database = (
            LanedDatabase(database, self.bench, redis_url) if carried else database
        )
        self._options = options
        self._order = Order(
            database_url=database.url, redis_url=carried, concurrency=options.concurrency
        )
        self._patient = Order(
            database_url=database.url, redis_url=carried, burst=False, lease=options.lease
        )

    def often(self) -> dict[str, _Measurement]:
        """What is measured in every round."""
        return self._trust() | {
            f"drain, {self.name}": lambda: self._drain(1),
            f"drain, {self.name}, two processes": lambda: self._drain(2),
            f"enqueue and drain at once, {self.name}": self._mixed,
        }

    def once(self) -> dict[str, _Measurement]:
        """What takes its time."""
        return {
            f"latency, {self.name}": self._latency,
            f"recovery, {self.name}, takes a lease": self._recovery,
        } | self._memory()

    def _trust(self) -> dict[str, _Measurement]:
        database = self.database
        if not isinstance(database, LanedDatabase) or not self._options.trusted:
            return {}
        return {"the first minute of a lane passes": database.trusted}

    def _memory(self) -> dict[str, _Measurement]:
        database = self.database
        if not isinstance(database, LanedDatabase):
            return {}
        jobs = self._options.jobs
        return {"memory of the lane": lambda: measure_lane_memory(database, self.bench, jobs)}

    async def _drain(self, processes: int) -> Mapping[str, float]:
        name = f"drain_{self.name}_{processes}"
        rate, costs = await draining.measure_drain(
            self.database, self.bench, self._order, self._options.jobs, processes
        )
        if processes > 1:
            return {name: rate}
        return {name: rate} | {f"{name}_{cost}": value for cost, value in costs.items()}

    async def _mixed(self) -> Mapping[str, float]:
        options = self._options
        rate = await draining.measure_mixed(
            self.database, self.bench, self._patient, options.jobs, options.callers
        )
        return {f"mixed_{self.name}": rate}

    async def _latency(self) -> Mapping[str, float]:
        waits = await waiting.measure_latency(
            self.database, self.bench, self._patient, self._options.lone
        )
        return {f"latency_{self.name}_{percentile}": wait for percentile, wait in waits.items()}

    async def _recovery(self) -> Mapping[str, float]:
        seconds = await waiting.measure_recovery(self.database, self.bench, self._patient)
        return {f"recovery_{self.name}": seconds}
