"""A run: backlogs drained in each mode and by the lean worker, in turn, round by round."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from benchmarks.budget.drained import Budget, Drained
from benchmarks.budget.statements import ledger_statements, prepare_accounts
from benchmarks.budget.tracing import Tracer
from headrace.bench import lean, limits
from headrace.bench.database import Database, fresh_database
from headrace.bench.enqueueing import enqueue_bulk
from headrace.bench.figures import DIRECT, HYBRID
from headrace.bench.lane import LanedDatabase
from headrace.bench.order import Order
from headrace.bench.progress import progress
from headrace.bench.tasks import BenchApp

LEAN = "lean worker"
_CONCURRENCY = 10  # as a worker runs if nobody says anything


async def measure(server_url: str, redis_url: str, *, jobs: int, rounds: int) -> dict[str, Budget]:
    """The budget of each mode and of the lean worker, which is the floor."""
    async with AsyncExitStack() as stack:

        async def fresh() -> Database:
            database = await stack.enter_async_context(fresh_database(server_url))
            await prepare_accounts(database.connection.driver)
            return database

        async def mode(lane_url: str | None) -> Drained:
            database = await fresh()
            bench = BenchApp(database.url, lane_url)
            await stack.enter_async_context(bench.app)
            if lane_url is not None:
                database = LanedDatabase(database, bench, lane_url)
                await database.trusted()
            return Drained(
                database,
                Order(database_url=database.url, redis_url=lane_url, concurrency=_CONCURRENCY),
                _backlog(database, bench, jobs),
                jobs=jobs,
                texts=ledger_statements(),
                redis_url=lane_url,
            )

        with progress(rounds * 3 + 6) as tell:
            tell("the first minute of a lane, in which it has everything verified")
            drained = {DIRECT: await mode(None), HYBRID: await mode(redis_url)}
            drained[LEAN] = _lean(await fresh(), jobs)
            for turn in range(rounds):
                for name, one in drained.items():
                    tell(f"round {turn + 1} of {rounds}: {name}")
                    await one.drain()
            for name in (DIRECT, HYBRID):
                tell(f"looking at the worker: {name}")
                await drained[name].look()
            for name, one in drained.items():
                if Tracer.is_here():
                    tell(f"counting system calls: {name}")
                    await one.count()
        return {name: one.budget() for name, one in drained.items()}


def _backlog(database: Database, bench: BenchApp, jobs: int) -> Callable[[], Awaitable[None]]:
    async def fill() -> None:
        await database.empty()
        await enqueue_bulk(bench, jobs)
        await database.filled(jobs)

    return fill


def _lean(database: Database, jobs: int) -> Drained:
    return Drained(
        database,
        Order(database_url=database.url, lean=True),
        lambda: limits.fill_lean(database, jobs),
        jobs=jobs,
        texts={"claim": lean.CLAIM, "complete": lean.COMPLETE, "insert": limits.FILL_LEAN},
    )
