"""A worker process whose handler blocks its event loop until a file is there."""

import asyncio
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from headrace import Headrace, Retry
from headrace.model.entry import Taken
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


def slow_to_answer(app: Headrace, folder: Path) -> None:
    """Let takes of quick jobs be answered only once the loop is blocked, so that none is read."""
    take = app.engine.take

    async def take_slowly(
        worker: UUID, queue: str, call: int, n: int, *, ahead: bool = False
    ) -> Taken:
        taken = await take(worker, queue, call, n, ahead=ahead)
        while any(one.task == "quick" for one in taken.deliveries):
            if (folder / "blocking").exists():
                break
            await asyncio.sleep(0.01)  # until the test has seen that the ledger has given them
        return taken

    app.engine.take = take_slowly  # type: ignore[method-assign]


def worker(app: Headrace, queues: Mapping[str, int], *, grace: float) -> Worker:
    """What waits for its slots, or is held ahead of them, is as if they had been fast until now."""
    folder = Path(sys.argv[1])
    if (folder / "slow answers").exists():
        slow_to_answer(app, folder)
    return Worker(app, queues, grace=grace, pace=lambda: SteadyPace(3))


if __name__ == "__main__":
    setattr(node, "Worker", worker)  # noqa: B010 - of that module
    asyncio.run(run_node(build(Path(sys.argv[1])), {QUEUE: 2}))
