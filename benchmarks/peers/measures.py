"""The measurements that are repeated: each on fresh servers, with one peer alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers.catalogue import Peer
from benchmarks.peers.conversation import PeerFailed, Producer, Workers, producer, workers
from benchmarks.peers.environments import Environment
from benchmarks.peers.figures import percentile
from benchmarks.peers.marks import Marks, rate_between
from benchmarks.peers.plan import Plan
from benchmarks.peers.servers import Meter, Servers

_CHECK = 0.5  # seconds between two looks whether the workers are alive
_STARTED = 30.0  # seconds that a worker may take to its first job
_WARM, _WARM_MOST = 20, 1000  # one job in 20, the first of them, is not measured
_MOST = 2_000_000  # jobs of an order that only time ends
_LEAST = 200  # jobs that make a rate


@dataclass(slots=True)
class Stand:
    """A peer at work.

    Attributes:
        peer: which.
        environment: where it lives.
        servers: both.
        marks: what its handlers write.
        log: what its processes say.
        plan: sizes.
        bulk: jobs a bulk call; 0 where it has none.
        pace: jobs a second, as last seen, by task and by "fill".
        redis: the database of Valkey that it uses; the first where empty.
    """

    peer: Peer
    environment: Environment
    servers: Servers
    marks: Marks
    log: Path
    plan: Plan
    bulk: int = 0
    pace: dict[str, float] = field(default_factory=dict)
    redis: str = ""

    def variables(self, **more: str) -> dict[str, str]:
        """Of the environment of its processes."""
        return {
            "PEER_DATABASE_URL": self.servers.database_url(self.peer),
            "PEER_REDIS_URL": self.redis or self.servers.redis_url(),
            "PEER_MARKS": str(self.marks.folder),
            **more,
        }

    async def renew(self) -> None:
        """Fresh servers."""
        self.marks.clear()
        await self.servers.renew_valkey()
        await self.servers.renew_database(self.peer)

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[Producer]:
        """Fresh servers and a producer that is connected."""
        await self.renew()
        async with self.producer() as one:
            yield one

    @asynccontextmanager
    async def producer(self, **order: int) -> AsyncIterator[Producer]:
        """A producer that is connected."""
        async with producer(self.peer, self.environment, self.variables(), self.log) as one:
            await one.order("open", **order)
            yield one

    @asynccontextmanager
    async def crew(self, number: int = 1, **variables: str) -> AsyncIterator[Workers]:
        """Worker processes."""
        told = self.variables(**variables)
        async with workers(
            self.peer,
            self.environment,
            told,
            self.log,
            number=number,
            concurrency=self.plan.concurrency,
        ) as crew:
            yield crew

    async def fill(self, one: Producer, task: str, n: int, seconds: float) -> int:
        """Enqueue `n` jobs by the fastest way, or as many as the time allows."""
        done = await one.order("fill", task=task, n=n, seconds=seconds, within=seconds)
        if done["seconds"] > 0:
            self.pace["fill"] = done["n"] / done["seconds"]
        return int(done["n"])

    async def reach(self, crew: Workers, count: int, within: float) -> bool:
        """Wait for so many jobs to begin; a worker that ended meanwhile is an error."""
        end = time.monotonic() + within
        while (left := end - time.monotonic()) > 0:
            if await self.marks.reach(count, min(left, _CHECK)):
                return True
            crew.check()
        return False


Measure = Callable[[Stand], Awaitable[dict[str, float]]]


async def measure_enqueue(stand: Stand) -> dict[str, float]:
    """One by one, by 100 callers at once, in bulk."""
    found = {}
    ways = ["single", "concurrent", *(["bulk"] if stand.bulk else [])]
    seconds = stand.plan.enqueue
    async with stand.fresh() as one:
        for how in ways:
            order = {"how": how, "task": "noop", "n": _MOST}
            await one.order("enqueue", within=seconds, seconds=seconds / 4, **order)  # connects
            done = await one.order("enqueue", within=seconds, seconds=seconds, **order)
            found[f"enqueue_{how}"] = done["n"] / done["seconds"]
    return found


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a drain.

    Attributes:
        rate: jobs a second.
        costs: worker_cpu, postgres_cpu and valkey_cpu in microseconds a job; wal in bytes a job.
    """

    rate: float
    costs: dict[str, float]


async def drain(
    stand: Stand, n: int, seconds: float, *, processes: int = 1, share: float = 1.0
) -> Window:
    """Watch workers at a backlog of `n` jobs, until a share of it is done or the time is over.

    Raises:
        PeerFailed: a worker ended, or too few jobs ran to tell a rate.
    """
    warm = max(1, min(n // _WARM, _WARM_MOST))
    async with stand.crew(processes) as crew:
        if not await stand.reach(crew, 1, _STARTED):
            raise PeerFailed(f"no job began within {_STARTED:.0f} s of the start of a worker")
        await stand.reach(crew, warm, seconds / 2)
        before = await _look(stand, crew)
        await stand.reach(crew, round(n * share), seconds)
        after = await _look(stand, crew)
    starts = [mark.at for mark in stand.marks.all()]
    try:
        rate = rate_between(starts, min(warm, before.jobs) - 1, after.jobs - 1)
    except ValueError as exc:
        raise PeerFailed(str(exc)) from None
    return Window(rate, _costs(before, after))


class _Look(NamedTuple):
    """What was spent, and how many jobs had begun, at some moment of a drain."""

    servers: Meter
    workers: float
    jobs: int


async def _look(stand: Stand, crew: Workers) -> _Look:
    # Always in this order, so that all three are of a stretch of the same length.
    return _Look(await stand.servers.meter(), crew.cpu(), stand.marks.count())


def _costs(before: _Look, after: _Look) -> dict[str, float]:
    jobs = after.jobs - before.jobs
    if jobs == 0:  # all were done before the first look, as may be where they are few
        return {}
    spent, had = after.servers, before.servers
    return {
        "worker_cpu": (after.workers - before.workers) / jobs * 1e6,
        "postgres_cpu": (spent.postgres_cpu - had.postgres_cpu) / jobs * 1e6,
        "valkey_cpu": (spent.valkey_cpu - had.valkey_cpu) / jobs * 1e6,
        "wal": (spent.wal - had.wal) / jobs,
    }


async def _drained(stand: Stand, task: str, processes: int) -> tuple[Window, dict[str, float]]:
    """Fill as much as a window needs, and drain it; with what a waiting job took."""
    plan = stand.plan
    n = jobs_for(stand.pace.get(task), processes, plan)
    await stand.renew()
    held = await stand.servers.held(stand.peer)
    async with stand.producer() as one:
        meter = await stand.servers.meter()
        n = await stand.fill(one, task, n, plan.fill)
        if n < 1:
            raise PeerFailed(f"no job was enqueued within {plan.fill} s")
        filled = await stand.servers.meter()
        await one.order("close")
    full = await stand.servers.held(stand.peer)
    window = await drain(stand, n, plan.drain, processes=processes)
    stand.pace[task] = window.rate / processes
    waiting = {
        "postgres_bytes": (full.postgres - held.postgres) / n,
        "valkey_bytes": (full.valkey - held.valkey) / n,
        "wal": (filled.wal - meter.wal) / n,
    }
    return window, waiting


def jobs_for(pace: float | None, processes: int, plan: Plan) -> int:
    """Jobs that keep workers of this pace busy for one window, with some to spare."""
    if pace is None:
        return plan.drain_most
    return max(_LEAST, min(plan.drain_most, round(pace * processes * plan.drain * 1.3)))


async def measure_drain_1(stand: Stand) -> dict[str, float]:
    """One worker process, and what a job costs."""
    window, waiting = await _drained(stand, "noop", 1)
    uses = {
        "postgresql": ("postgres_cpu", "wal", "postgres_bytes"),
        "valkey": ("valkey_cpu", "valkey_bytes"),
    }
    costs = {**waiting, **window.costs, "wal": waiting["wal"] + window.costs.get("wal", 0.0)}
    wanted = ["worker_cpu", *(name for store in stand.peer.stores for name in uses[store])]
    return {"drain_1": window.rate, **{name: costs[name] for name in wanted if name in costs}}


async def measure_drain_2(stand: Stand) -> dict[str, float]:
    """Two worker processes."""
    window, _ = await _drained(stand, "noop", 2)
    return {"drain_2": window.rate}


async def measure_sleep(stand: Stand) -> dict[str, float]:
    """Jobs that wait 5 ms without a thread."""
    window, _ = await _drained(stand, "sleep", 1)
    return {"sleep": window.rate}


async def measure_block(stand: Stand) -> dict[str, float]:
    """Jobs that hold their thread for 5 ms."""
    window, _ = await _drained(stand, "block", 1)
    return {"block": window.rate}


async def measure_mixed(stand: Stand) -> dict[str, float]:
    """Jobs a second from the first of 100 callers to the start of the last job."""
    seconds = stand.plan.mixed
    async with stand.fresh() as one, stand.crew() as crew:
        warm = await _warmed(stand, one, crew)
        order = {"how": "concurrent", "task": "noop", "n": _MOST, "seconds": seconds}
        done = await one.order("enqueue", within=seconds, **order)
        await stand.reach(crew, warm + done["n"], 3 * seconds)
        count = stand.marks.count() - warm
    last = stand.marks.all()[-1].at / 1e9
    return {"mixed": count / (last - done["began"])}


async def measure_latency(stand: Stand) -> dict[str, float]:
    """From the call of enqueue to the start of the handler, one job at a time."""
    plan = stand.plan
    lasting = plan.latency_jobs * plan.latency_gap
    async with stand.fresh() as one, stand.crew() as crew:
        warm = await _warmed(stand, one, crew)
        order = {"n": plan.latency_jobs, "gap": plan.latency_gap}
        calls: list[list[int]] = await one.order("latency", within=3 * lasting, **order)
        if not await stand.reach(crew, warm + len(calls), 10.0):
            raise PeerFailed("not all jobs began within 10 s on an idle machine")
    return latencies(calls, {mark.number: mark.at for mark in reversed(stand.marks.all())})


def latencies(calls: list[list[int]], starts: dict[int, int]) -> dict[str, float]:
    """Percentiles, in milliseconds, of the time from the calls to the starts of these jobs."""
    waited = sorted((starts[number] - at) / 1e6 for number, at in calls)
    return {f"latency_p{share}": percentile(waited, share / 100) for share in (50, 95, 99)}


async def _warmed(stand: Stand, one: Producer, crew: Workers) -> int:
    """A few jobs before what is measured, so that all are connected; how many."""
    n = 20
    order: dict[str, Any] = {"how": "single", "task": "noop", "n": n, "seconds": 10.0}
    await one.order("enqueue", within=10.0, **order)
    if not await stand.reach(crew, n, _STARTED):
        raise PeerFailed(f"{n} jobs did not begin within {_STARTED:.0f} s")
    await asyncio.sleep(0.3)  # what follows finds an idle system; nothing tells when it is
    return n


REPEATED: dict[str, Measure] = {
    "enqueue": measure_enqueue,
    "drain_1": measure_drain_1,
    "drain_2": measure_drain_2,
    "mixed": measure_mixed,
    "sleep": measure_sleep,
    "block": measure_block,
    "latency": measure_latency,
}
