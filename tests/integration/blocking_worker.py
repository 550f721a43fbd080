"""A worker process whose handler blocks its event loop until a file is there."""

import asyncio
import sys
import time
from functools import partial
from pathlib import Path

from headrace import Headrace, Retry
from headrace.supervisor import node
from headrace.supervisor.node import run_node
from headrace.worker.worker import Worker
from steady_pace import SteadyPace

QUEUE = "blocked"
TIMEOUT = "5s"


def block_until(gate: Path) -> None:
    """The very defect that is tested: it keeps the event loop that calls it."""
    while not gate.exists():
        time.sleep(0.01)


def build(folder: Path) -> Headrace:
    """The application, configured by the environment, whose first run blocks in this process."""
    app = Headrace("tests")

    @app.task(queue=QUEUE, timeout=TIMEOUT)
    async def block() -> str:
        (folder / "blocking").touch()
        block_until(folder / "gate")
        (folder / "unblocked").touch()
        return "first"

    @app.task(queue=QUEUE, timeout="60s")
    async def block_later() -> str:
        while not (folder / "go").exists():
            await asyncio.sleep(0.01)  # until the test has seen what this worker holds
        (folder / "blocking").touch()
        block_until(folder / "gate")
        (folder / "unblocked").touch()
        return "blocked"

    @app.task(queue=QUEUE, timeout="1s")
    async def block_for_good() -> str:
        block_until(folder / "never")
        return "never"

    @app.task(queue=QUEUE)
    async def put_off() -> str:
        raise Retry("not now", after="1h")

    @app.task(queue=QUEUE)
    async def quick() -> str:
        return "by the worker that was blocked"

    @app.task(queue=QUEUE, timeout="60s")
    async def hold() -> str:
        (folder / "holding").touch()
        while not (folder / "unblocked").exists():
            await asyncio.sleep(0.01)  # the other handler cannot tell: it blocks this very loop
        return "held"

    return app


if __name__ == "__main__":
    # What waits for its slots, or is held ahead of them, is as if they had been fast until now.
    setattr(node, "Worker", partial(Worker, pace=lambda: SteadyPace(3)))  # noqa: B010 - of that module
    asyncio.run(run_node(build(Path(sys.argv[1])), {QUEUE: 2}))
