"""How fast worker processes empty a backlog, and what it costs."""

import asyncio
from collections.abc import Sequence

from headrace.bench.children import Child, children
from headrace.bench.database import Database, Meter
from headrace.bench.enqueueing import enqueue_bulk, enqueue_concurrently
from headrace.bench.limits import fill_lean
from headrace.bench.order import Order
from headrace.bench.tasks import BenchApp

# By the server's clock: the last completion, without the worker's good-byes.
_END = """
SELECT extract(epoch FROM max(settled_at))::float8, count(*) FROM headrace.job WHERE state = 2
"""
_LEAN_END = "SELECT extract(epoch FROM max(done_at))::float8, count(*) FROM lean WHERE state = 2"
_LEFT = "SELECT EXISTS (SELECT FROM headrace.job WHERE state = 0)"


async def measure_lean(database: Database, order: Order, n: int) -> dict[str, float]:
    """The bare worker, on a table of its own."""
    await fill_lean(database, n)
    async with children(order, 1) as crew:
        before = await database.meter()
        await _work(crew)
    return {"lean_drain": n / (await _end(database, _LEAN_END, n) - before.clock)}


async def measure_drain(
    database: Database, bench: BenchApp, order: Order, n: int, processes: int
) -> tuple[float, dict[str, float]]:
    """Jobs a second, and what each cost."""
    await database.empty()
    await enqueue_bulk(bench, n)
    await database.filled(n)
    async with children(order, processes) as crew:
        before = await database.meter()
        cpu = await _work(crew)
        after = await database.meter()
    rate = n / (await _end(database, _END, n) - before.clock)
    return rate, _costs(before, after, cpu, n)


async def measure_mixed(
    database: Database, bench: BenchApp, order: Order, n: int, callers: int
) -> float:
    """Jobs a second from the first call of enqueue to the last completion."""
    await database.empty()
    async with children(order, 1) as crew:
        before = await database.meter()
        crew[0].begin()
        await enqueue_concurrently(bench, n, callers)
        await _until_empty(database)
        crew[0].drain()
        await crew[0].report()
    return n / (await _end(database, _END, n) - before.clock)


async def _work(crew: Sequence[Child]) -> float:
    for one in crew:
        one.begin()
    return sum([(await one.report()).cpu for one in crew])


async def _until_empty(database: Database) -> None:
    left = True
    while left:
        await asyncio.sleep(0.02)  # another process works, only the ledger knows
        left = await database.connection.fetchval(_LEFT)


async def _end(database: Database, query: str, n: int) -> float:
    row = await database.connection.fetchrow(query)
    assert row is not None
    if row[1] != n:
        raise RuntimeError(f"{row[1]} of {n} jobs were completed; the figure would be wrong")
    end: float = row[0]
    return end


def _costs(before: Meter, after: Meter, worker_cpu: float, n: int) -> dict[str, float]:
    costs = {"worker_cpu": worker_cpu / n * 1e6, "wal": (after.wal - before.wal) / n}
    if after.cpu:
        costs["server_cpu"] = (after.cpu - before.cpu) / n * 1e6
    if after.lane_memory:
        costs["lane_cpu"] = (after.lane_cpu - before.lane_cpu) / n * 1e6
    return costs
