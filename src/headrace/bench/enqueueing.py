"""How fast jobs are enqueued: one by one, by many callers at once, in bulk."""

import asyncio
import time

from headrace.bench.database import Database
from headrace.bench.tasks import FILLING, BenchApp

_BULK = 1000
_ROWS_ON_DISK = """
SELECT sum(pg_total_relation_size(relid))::float8
FROM pg_partition_tree('headrace.job') WHERE isleaf
"""


async def measure_single(database: Database, bench: BenchApp, n: int) -> dict[str, float]:
    """One job, and when it is durable the next."""
    await database.empty()
    began = time.perf_counter()
    for _ in range(n):
        await bench.noop.enqueue(FILLING)
    return {"enqueue_single": n / (time.perf_counter() - began)}


async def measure_concurrent(
    database: Database, bench: BenchApp, n: int, callers: int
) -> dict[str, float]:
    """Many callers, each with one job after the other."""
    await database.empty()
    began = time.perf_counter()
    await enqueue_concurrently(bench, n, callers)
    return {"enqueue_concurrent": n / (time.perf_counter() - began)}


async def measure_bulk(database: Database, bench: BenchApp, n: int) -> dict[str, float]:
    """1,000 jobs a call, and what they take on disk."""
    await database.empty()
    on_disk: float = await database.connection.fetchval(_ROWS_ON_DISK)
    before = await database.meter()
    began = time.perf_counter()
    await enqueue_bulk(bench, n)
    rate = n / (time.perf_counter() - began)
    after = await database.meter()
    on_disk = await database.connection.fetchval(_ROWS_ON_DISK) - on_disk
    return {
        "enqueue_bulk": rate,
        "row_bytes": on_disk / n,
        "enqueue_wal": (after.wal - before.wal) / n,
    }


async def enqueue_concurrently(bench: BenchApp, n: int, callers: int) -> None:
    """Let many callers share `n` jobs."""

    async def call() -> None:
        for _ in range(n // callers):
            await bench.noop.enqueue(FILLING)

    await asyncio.gather(*(call() for _ in range(callers)))


async def enqueue_bulk(bench: BenchApp, n: int) -> None:
    """Make a backlog."""
    for _ in range(0, n, _BULK):
        await bench.app.enqueue_many([bench.noop.job(FILLING) for _ in range(_BULK)])
