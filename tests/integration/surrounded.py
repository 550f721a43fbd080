"""An application with all that can stand around a run, importable by a process of handlers.

What happens is told, a line each, to the file that TOLD names.
"""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

from headrace import Context, Depends, Headrace, injected
from headrace.middleware import Next, SyncNext

app = Headrace("surrounded")


def tell(line: str) -> None:
    with Path(os.environ["TOLD"]).open("a", encoding="utf-8") as told:
        told.write(f"{line}\n")


@app.lifespan
async def open_pool() -> AsyncIterator[str]:
    yield f"pool of {os.getpid()}"


@app.on_error
async def tracked(ctx: Context, exc: BaseException) -> None:
    tell(
        f"error {type(exc).__name__} in attempt {ctx.attempt} of {ctx.task}, told by {os.getpid()}"
    )


@app.middleware
async def outer(ctx: Context, call_next: Next, *, mark: str = "unmarked") -> object:
    tell(f"> {mark} {ctx.task}")
    try:
        return await call_next()
    finally:
        tell(f"< {mark}")


@app.middleware
def inner(_: Context, call_next: SyncNext) -> object:
    tell("> in the thread")
    try:
        return call_next()
    finally:
        tell("< in the thread")


def open_session(pool: Annotated[str, Depends(open_pool)]) -> Iterator[str]:
    try:
        yield f"session on {pool}"
    except ValueError as exc:
        tell(f"rolled back for {exc}")
        raise


Session = Annotated[str, Depends(open_session)]


@app.task(executor="process", middleware={"mark": "marked"})
async def ask(number: int, session: Session = injected) -> list[Any]:
    return [number, os.getpid(), session]


@app.task(executor="process", max_attempts=1)
def fail(session: Session = injected) -> None:
    raise ValueError(session.split(maxsplit=1)[0])


@app.task(executor="process", max_attempts=1)
async def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
