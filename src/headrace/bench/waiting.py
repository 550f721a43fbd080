"""How long a job waits: for an idle worker, and for another one when its worker was killed."""

import asyncio
import time
from statistics import quantiles

from headrace.bench.children import child
from headrace.bench.database import Database
from headrace.bench.order import Order
from headrace.bench.tasks import FILLING, BenchApp

_GAP = 0.1
_HELD = 50


async def measure_latency(
    database: Database, bench: BenchApp, order: Order, n: int
) -> dict[str, float]:
    """Milliseconds from the call of enqueue to the handler's start, a job every 0.1 s."""
    await database.empty()
    waits: list[float] = []
    async with child(order) as worker:
        worker.begin()
        for _ in range(n):
            await asyncio.sleep(_GAP)
            called = time.monotonic()
            await bench.tell.enqueue(FILLING)
            waits.append((float(await worker.line()) - called) * 1000)
        worker.drain()
        await worker.report()
    percentiles = quantiles(waits, n=100, method="inclusive")
    return {"p50": percentiles[49], "p95": percentiles[94], "p99": percentiles[98]}


async def measure_recovery(database: Database, bench: BenchApp, order: Order) -> float:
    """Seconds from SIGKILL of a worker until the last of its 50 jobs runs again."""
    await database.empty()
    await bench.app.enqueue_many([bench.hold.job(FILLING) for _ in range(_HELD)])
    async with child(order) as victim, child(order) as heir:
        victim.begin()
        for _ in range(_HELD):
            await victim.line()
        heir.begin()
        killed = time.monotonic()
        await victim.kill()
        for _ in range(_HELD):
            await heir.line()
        return time.monotonic() - killed
