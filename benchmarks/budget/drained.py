"""A backlog that one worker process drains again and again, and what that costs all sides."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.budget.sampling import Sampler
from benchmarks.budget.statements import Cost, begin_accounts, read_scripts, read_statements
from benchmarks.budget.tracing import Tracer, share
from headrace.bench.children import child
from headrace.bench.database import Database, Meter
from headrace.bench.order import Order


class Stage(msgspec.Struct, frozen=True):
    """Microseconds a job, and calls a thousand jobs."""

    micros: float
    calls: float


class Budget(msgspec.Struct, frozen=True):
    """What a job costs: medians of the rounds.

    Attributes:
        totals: jobs a second, and microseconds of CPU a job of each process.
        worker: microseconds of the worker's CPU by stage.
        asked: of the servers' execution time by statement, scripts together; what they spend on
            parsing, the wire and the disk is the rest of their CPU.
        system: system calls of the worker process a thousand jobs; empty without strace.
    """

    totals: dict[str, float]
    worker: dict[str, float]
    asked: dict[str, Stage]
    system: dict[str, float]


class Drained:
    """One way to drain.

    Args:
        database: of its own.
        order: for the worker process.
        fill: makes a backlog of `jobs`.
        texts: of the statements to be told, by name.
        redis_url: of the lane's server, if there is one.
    """

    def __init__(
        self,
        database: Database,
        order: Order,
        fill: Callable[[], Awaitable[None]],
        *,
        jobs: int,
        texts: Mapping[str, str],
        redis_url: str | None = None,
    ) -> None:
        self._database = database
        self._order = order
        self._fill = fill
        self._jobs = jobs
        self._texts = texts
        self._redis_url = redis_url
        self._totals: list[dict[str, float]] = []
        self._asked: list[dict[str, Stage]] = []
        self._shares: Mapping[str, float] = {}
        self._system: dict[str, float] = {}

    async def drain(self) -> None:
        """One round."""
        connection = self._database.connection.driver
        await begin_accounts(connection, self._redis_url)
        await self._fill()
        async with child(self._order) as worker:
            before = await self._database.meter()
            worker.begin()
            cpu = (await worker.report()).cpu
            after = await self._database.meter()
        self._totals.append(self._costs(before, after, cpu))
        asked = await read_statements(connection, self._texts)
        if self._redis_url is not None:
            asked["scripts"] = await read_scripts(self._redis_url)
        self._asked.append({name: self._stage(cost) for name, cost in asked.items()})

    async def look(self) -> None:
        """One more round, watched: it is slower, so only the shares count."""
        await self._fill()
        with TemporaryDirectory() as folder:
            async with child(self._order) as worker:
                sampler = Sampler(worker.pid, Path(folder) / "stacks")
                await sampler.start()
                worker.begin()
                await worker.report()
                self._shares = await sampler.shares()

    async def count(self) -> None:
        """One more round, whose system calls are counted: many times slower."""
        await self._fill()
        with TemporaryDirectory() as folder:
            async with child(self._order) as worker:
                tracer = Tracer(worker.pid, Path(folder) / "calls")
                await tracer.start()
                worker.begin()
                await worker.report()
                self._system = share(await tracer.counts(), self._jobs)

    def budget(self) -> Budget:
        """The medians."""
        totals = {name: median(one[name] for one in self._totals) for name in self._totals[0]}
        asked = {name: _middle([one[name] for one in self._asked]) for name in self._asked[0]}
        return Budget(
            totals,
            {stage: share * totals["worker CPU"] for stage, share in self._shares.items()},
            dict(sorted(asked.items(), key=lambda item: -item[1].micros)),
            self._system,
        )

    def _costs(self, before: Meter, after: Meter, cpu: float) -> dict[str, float]:
        spent = {"worker CPU": cpu, "PostgreSQL CPU": after.cpu - before.cpu}
        if self._redis_url is not None:
            spent["Valkey CPU"] = after.lane_cpu - before.lane_cpu
        return {
            "jobs a second": self._jobs / (after.clock - before.clock),
            **{name: seconds / self._jobs * 1e6 for name, seconds in spent.items()},
            "WAL bytes": (after.wal - before.wal) / self._jobs,
        }

    def _stage(self, cost: Cost) -> Stage:
        return Stage(cost.seconds / self._jobs * 1e6, cost.calls / self._jobs * 1e3)


def _middle(rounds: list[Stage]) -> Stage:
    return Stage(median(one.micros for one in rounds), median(one.calls for one in rounds))
