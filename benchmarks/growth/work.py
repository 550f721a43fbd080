"""The application that is measured, and a worker process of it: `python -m benchmarks.growth.work`.

The process is given its order as JSON and works until SIGTERM.
"""

import logging
import mmap
import os
import struct
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from headrace import Headrace
from headrace.bench.loop import run
from headrace.bench.tasks import FILLING
from headrace.supervisor.node import run_node
from headrace.task import AsyncTask

_COUNT = struct.Struct("<q")
_CHUNK = 1_000
Handler = Callable[[str], Coroutine[Any, Any, None]]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker process is to do.

    Attributes:
        queues: how many it serves.
        concurrency: of each.
        count: file in which it counts the jobs that it began.
    """

    database_url: str
    redis_url: str | None
    queues: int
    concurrency: int
    count: str


class GrowthApp:
    """The application.

    Attributes:
        app: not started.
        noop: its task.
        queues: their names.
    """

    def __init__(
        self, database_url: str, redis_url: str | None, queues: int, handler: Handler
    ) -> None:
        self.app = Headrace("growth", database_url=database_url, redis_url=redis_url)
        self.queues = [f"q{number}" for number in range(queues)]
        for queue in self.queues:
            self.app.queue(queue)
        self.noop: AsyncTask[[str], None] = self.app.task(queue="q0", name="noop")(handler)

    async def enqueue(self, n: int, tenants: int) -> None:
        """Make a backlog, queue by queue and tenant by tenant in turn, 1,000 jobs a call."""
        kinds = [
            self.noop.options(
                queue=self.queues[place % len(self.queues)], tenant=f"t{place % tenants}"
            )
            for place in range(max(len(self.queues), tenants))
        ]
        for first in range(0, n, _CHUNK):
            chunk = range(first, min(first + _CHUNK, n))
            await self.app.enqueue_many([kinds[place % len(kinds)].job(FILLING) for place in chunk])


def counted(path: str) -> int:
    """How many jobs a worker process began; 0 before it started."""
    try:
        counted = Path(path).read_bytes()
    except FileNotFoundError:
        return 0
    began: int = _COUNT.unpack(counted or bytes(_COUNT.size))[0]
    return began


def _counting(path: str) -> Handler:
    with Path(path).open("wb+") as file:
        os.ftruncate(file.fileno(), _COUNT.size)
        place = mmap.mmap(file.fileno(), _COUNT.size)
    began = 0

    async def noop(filling: str) -> None:  # noqa: ARG001 - a payload of the usual size
        nonlocal began
        began += 1
        _COUNT.pack_into(place, 0, began)

    return noop


async def work(order: Order) -> None:
    """Do as ordered."""
    growth = GrowthApp(order.database_url, order.redis_url, order.queues, _counting(order.count))
    await run_node(growth.app, dict.fromkeys(growth.queues, order.concurrency))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    run(work(msgspec.json.decode(sys.argv[1], type=Order)))
