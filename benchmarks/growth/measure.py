"""One point: worker processes that idle, then run what is enqueued, then idle again."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import msgspec

from benchmarks.growth.plan import HISTORY, PROCESSES, QUEUES, TENANTS, Plan, Point
from benchmarks.growth.servers import Servers, Spent
from benchmarks.growth.work import GrowthApp, Order, counted
from headrace.bench.tasks import noop
from headrace.engines.ledgered import LedgeredEngine
from headrace.model.lane_view import Mode

_CONCURRENCY = 10  # the default of a worker
_LONGEST = 400.0  # seconds for a point
_SETTLED = 6.0  # seconds after which idle polls have found their longest pause, and a beat was sent
_READY = "SELECT count(*) FROM headrace.worker WHERE reaped_at IS NULL AND beats > 0"
_LEFT = """
SELECT EXISTS (SELECT FROM headrace.job WHERE state = 0 AND owner IS NOT NULL)
    OR EXISTS (SELECT FROM headrace.job WHERE state = 0 AND owner IS NULL)
"""


async def measure(servers: Servers, plan: Plan, point: Point) -> dict[str, float]:
    """The figures of a point, by name."""
    await servers.renew(point.of(HISTORY, 0))
    return await settled_backlog(servers, plan, point)


async def settled_backlog(servers: Servers, plan: Plan, point: Point) -> dict[str, float]:
    """The same in the database that is there."""
    redis_url = servers.redis_url if point.mode == "hybrid" else None
    queues, n = point.of(QUEUES, 1), plan.jobs_of(point)
    growth = GrowthApp(servers.database_url, redis_url, queues, noop)
    figures: dict[str, float] = {"jobs": n}
    async with asyncio.timeout(_LONGEST), AsyncExitStack() as stack:
        sql = await asyncpg.connect(servers.database_url)
        stack.push_async_callback(sql.close)
        await stack.enter_async_context(growth.app)
        crew = await stack.enter_async_context(
            _crew(servers.database_url, redis_url, queues, point.of(PROCESSES, 1))
        )
        await _until_ready(servers, growth, sql, crew)
        before = await servers.spent(crew.pids)
        await growth.enqueue(n, point.of(TENANTS, 1))
        await _until_done(crew, sql, n)
        figures |= _of_a_job((await servers.spent(crew.pids)).since(before), n)
        if point.watched_idle:
            await asyncio.sleep(_SETTLED)
            before = await servers.spent(crew.pids)
            await asyncio.sleep(plan.idle)
            figures |= _of_a_second((await servers.spent(crew.pids)).since(before))
            figures["connections"] = await servers.connections() - 1
    return figures


class Crew:
    """Worker processes and what they counted."""

    def __init__(self, processes: Sequence[asyncio.subprocess.Process], counts: list[str]) -> None:
        self.pids = [process.pid for process in processes]
        self._processes = processes
        self._counts = counts

    @property
    def began(self) -> int:
        """Jobs."""
        return sum(counted(path) for path in self._counts)

    def check(self) -> None:
        """Nobody ended."""
        for one in self._processes:
            if one.returncode is not None:
                raise RuntimeError(f"a worker process ended with {one.returncode}")


@asynccontextmanager
async def _crew(
    database_url: str, redis_url: str | None, queues: int, processes: int
) -> AsyncIterator[Crew]:
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        counts = [f"{folder}/{number}" for number in range(processes)]
        started: list[asyncio.subprocess.Process] = []
        try:
            for count in counts:
                order = Order(
                    database_url=database_url,
                    redis_url=redis_url,
                    queues=queues,
                    concurrency=_CONCURRENCY,
                    count=count,
                )
                text = msgspec.json.encode(order).decode()
                command = (sys.executable, "-m", "benchmarks.growth.work", text)
                started.append(await asyncio.create_subprocess_exec(*command))
            yield Crew(started, counts)
        finally:
            for one in started:
                if one.returncode is None:
                    one.kill()
                await one.wait()


async def _until_ready(
    servers: Servers,
    growth: GrowthApp,
    sql: "asyncpg.Connection[asyncpg.Record]",
    crew: Crew,
) -> None:
    """All have beaten; a lane is open, and trusted as after its first minute."""
    while await sql.fetchval(_READY) < len(crew.pids):
        crew.check()
        await asyncio.sleep(0.1)
    engine = growth.app.engine
    if not isinstance(engine, LedgeredEngine) or engine.lane is None:
        return
    while (view := await engine.ledger.lanes.view()).mode is not Mode.HYBRID:
        await asyncio.sleep(0.1)
    await engine.ledger.lanes.calm(view.epoch)
    engine.heed(await engine.ledger.lanes.view())
    async for meta in servers.redis.scan_iter("{headrace:*}:meta"):
        await servers.redis.hset(meta, "suspect", "0")


async def _until_done(crew: Crew, sql: "asyncpg.Connection[asyncpg.Record]", n: int) -> None:
    while crew.began < n:
        crew.check()
        await asyncio.sleep(0.01)
    while await sql.fetchval(_LEFT):
        await asyncio.sleep(0.01)


def _of_a_job(spent: Spent, n: int) -> Mapping[str, float]:
    return {
        "rate": n / spent.seconds,
        "worker_cpu": spent.worker_cpu / n * 1e6,
        "postgres_cpu": spent.postgres_cpu / n * 1e6,
        "valkey_cpu": spent.valkey_cpu / n * 1e6,
        "statements": spent.statements / n,
        "pages": spent.pages / n,
        "commands": spent.commands / n,
        "wal": spent.wal / n,
    }


def _of_a_second(spent: Spent) -> Mapping[str, float]:
    return {
        "idle_worker_cpu": spent.worker_cpu / spent.seconds * 1e3,
        "idle_postgres_cpu": spent.postgres_cpu / spent.seconds * 1e3,
        "idle_valkey_cpu": spent.valkey_cpu / spent.seconds * 1e3,
        "idle_statements": spent.statements / spent.seconds,
        "idle_commands": spent.commands / spent.seconds,
    }
