"""A worker process whose handler blocks its event loop until a file is there."""

import asyncio
import sys
import time
from pathlib import Path

from headrace import Headrace
from headrace.supervisor.node import run_node

QUEUE = "blocked"
TIMEOUT = "5s"


def build(folder: Path) -> Headrace:
    """The application, configured by the environment, whose first run blocks in this process."""
    app = Headrace("tests")

    @app.task(queue=QUEUE, timeout=TIMEOUT)
    async def block() -> str:
        (folder / "blocking").touch()
        while not (folder / "gate").exists():
            time.sleep(0.01)  # noqa: ASYNC251 - the very defect that is tested
        (folder / "unblocked").touch()
        return "first"

    @app.task(queue=QUEUE, timeout="60s")
    async def hold() -> str:
        (folder / "holding").touch()
        while not (folder / "unblocked").exists():
            await asyncio.sleep(0.01)  # the other handler cannot tell: it blocks this very loop
        return "held"

    return app


if __name__ == "__main__":
    asyncio.run(run_node(build(Path(sys.argv[1])), {QUEUE: 2}))
