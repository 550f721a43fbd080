"""The measurements that are repeated: each on fresh servers, with one peer alone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.peers.conversation import PeerFailed, Producer, Workers
from benchmarks.peers.draining import STARTED, Window, drain
from benchmarks.peers.figures import percentile
from benchmarks.peers.plan import Plan
from benchmarks.peers.stand import Stand

_MOST = 2_000_000  # jobs of an order that only time ends
_LEAST = 200  # jobs that make a rate


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
    stand.fastest = max(ways, key=lambda how: found[f"enqueue_{how}"])
    return found


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
    waited = sorted((starts[number] - at) / 1e6 for number, at in calls if number in starts)
    if len(waited) < len(calls):
        raise PeerFailed(f"{len(calls) - len(waited)} jobs were never begun, others twice")
    return {f"latency_p{share}": percentile(waited, share / 100) for share in (50, 95, 99)}


async def _warmed(stand: Stand, one: Producer, crew: Workers) -> int:
    """A few jobs before what is measured, so that all are connected; how many."""
    n = 20
    order: dict[str, Any] = {"how": "single", "task": "noop", "n": n, "seconds": 10.0}
    await one.order("enqueue", within=10.0, **order)
    if not await stand.reach(crew, n, STARTED):
        raise PeerFailed(f"{n} jobs did not begin within {STARTED:.0f} s")
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
