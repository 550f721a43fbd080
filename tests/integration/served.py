"""An application with the services beside it, in direct or in hybrid mode."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from headrace import Headrace
from headrace.engines.ledgered import LedgeredEngine
from headrace.relay.services import services
from headrace.service import running
from headrace.worker.worker import Worker

MODES = ["direct", "hybrid"]


@asynccontextmanager
async def served(
    mode: str, database_url: str, lane_url: str, lease: float
) -> AsyncIterator[Headrace]:
    """A started application, once it is dispatched in the mode; the database has the schema."""
    redis_url = lane_url if mode == "hybrid" else None
    app = Headrace("tests", database_url=database_url, redis_url=redis_url, lease=f"{lease}s")
    async with app, running(services(app.engine, lease=lease)):
        await until(lambda: _is_dispatched_by(app, mode))
        yield app


@asynccontextmanager
async def working(app: Headrace, concurrency: int = 4) -> AsyncIterator[Worker]:
    """A worker of all the queues of the application's tasks, with so many slots each."""
    worker = Worker(app, {task.queue: concurrency for task in app.tasks.values()})
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def _is_dispatched_by(app: Headrace, mode: str) -> bool:
    assert isinstance(app.engine, LedgeredEngine)
    app.engine.heed(await app.engine.ledger.lanes.view())
    return app.engine.view.mode == mode


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for what a server or another process holds, which tells nobody when it changes."""
    deadline = time.monotonic() + seconds
    while True:
        met = condition()
        if asyncio.iscoroutine(met):
            met = await met
        if met:
            return
        assert time.monotonic() < deadline, "the condition was not met in time"
        await asyncio.sleep(0.01)  # as said above: nobody tells
