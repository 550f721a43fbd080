"""The application whose jobs are measured. What a handler has to tell goes to standard output."""

import asyncio
import time

from headrace import Context, Headrace
from headrace.task import AsyncTask

QUEUE = "bench"
FILLING = "x" * 185  # {"filling": "..."} makes 200 bytes


class BenchApp:
    """The application and its tasks.

    Attributes:
        app: not started.
        noop: does nothing.
        tell: says when it was started.
        hold: says that it was started; its first attempt never ends.
    """

    def __init__(self, database_url: str, redis_url: str | None, lease: float = 15.0) -> None:
        self.app: Headrace = Headrace(
            "bench", database_url=database_url, redis_url=redis_url, lease=f"{lease}s"
        )
        register = self.app.task(queue=QUEUE)
        self.noop: AsyncTask[[str], None] = register(noop)
        self.tell: AsyncTask[[str], None] = register(tell)
        self.hold: AsyncTask[[str], None] = register(hold)


async def noop(filling: str) -> None:
    """Do nothing."""


async def tell(filling: str) -> None:  # noqa: ARG001 - as above
    """Say when this began, on the clock that all processes of a machine share."""
    say(f"{time.monotonic()}")


async def hold(ctx: Context, filling: str) -> None:  # noqa: ARG001 - as above
    """Run until killed; the next attempt ends at once."""
    say(f"attempt {ctx.attempt}")
    if ctx.attempt == 1:
        await asyncio.Event().wait()


def say(line: str) -> None:
    """A line for the process that measures."""
    print(line, flush=True)  # noqa: T201 - the pipe between the two
