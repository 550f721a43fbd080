"""How many functions a worker calls for a job that does nothing: time that can be counted.

An eighth more than there are fails.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from types import FrameType
from typing import Any, cast
from uuid import UUID, uuid4

from asyncpg.pgproto import pgproto

from headrace import Headrace
from headrace.bus.herald import BusHerald
from headrace.bus.memory import MemoryBus
from headrace.model.job import Delivery, Settlement
from headrace.model.redaction import Redaction
from headrace.ports.clock import boottime
from headrace.ports.engine import Engine
from headrace.worker.executor import Executor
from headrace.worker.gate import Gate
from headrace.worker.hand import Hand
from headrace.worker.notes import Teller
from headrace.worker.process.children import Children
from headrace.worker.reporter import Reporter
from headrace.worker.runner import Runner
from headrace.worker.settler import Settler

JOBS = 500
NOWHERE = cast("Engine", None)  # no-op handlers ask nothing


class Collector(Settler):
    """Takes outcomes and writes none."""

    def __init__(self) -> None:
        self.taken = 0
        self.done = asyncio.Event()

    def add(self, worker: UUID, delivery: Delivery, settlement: Settlement) -> None:  # noqa: ARG002 - as the settler
        self.taken += 1
        if self.taken == JOBS:
            self.done.set()


async def tell_nobody(_: object) -> None: ...


async def calls_of_each(work: Callable[[], Coroutine[Any, Any, None]]) -> float:
    """Python functions called, coroutines gone on with included, for each of the jobs."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        await work()
    finally:
        sys.setprofile(before)
    return calls / JOBS


async def test_the_run_of_a_job() -> None:
    app = Headrace("tests", database_url="postgresql://nobody@localhost/none")

    @app.task(queue="q")
    async def send(to: str) -> None: ...

    herald = BusHerald(MemoryBus(), uuid4)
    herald.open = False  # nobody hears
    settler = Collector()
    gate = Gate(lambda: NOWHERE.limiter, app.tasks, app.queue_limits)
    runner = Runner(
        tasks=app.tasks,
        engine=NOWHERE,
        herald=herald,
        children=Children(app, most_jobs=None, most_memory=None),
        gate=gate,
        settler=settler,
        reporter=Reporter(()),
        teller=Teller(tell_nobody, Redaction()),
        redaction=Redaction(),
        patience=timedelta(),
        calls=10,
        slots=10,
        stuck=lambda _: None,
    )
    executor = Executor(
        runner=runner,
        gate=gate,
        engine=NOWHERE,
        freed=lambda: None,
        failed=lambda _: None,
    )
    hand = Hand(uuid4(), boottime(), lease=60.0)
    deliveries = [delivery(send.name) for _ in range(JOBS)]
    hand.book(hand.open_call(), deliveries)
    executor.start()

    async def run_all() -> None:
        executor.give(hand, deliveries)
        await settler.done.wait()

    assert await calls_of_each(run_all) <= 24
    await executor.stop(0.0)
    assert settler.taken == JOBS


def delivery(task: str) -> Delivery:
    return Delivery(
        id=pgproto.UUID(os.urandom(16)),
        gen=2,
        queue="q",
        task=task,
        payload=b'{"to": "somebody"}',
        priority=5,
        failures=0,
        crashes=0,
        max_attempts=3,
    )
