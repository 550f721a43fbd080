"""An application whose handlers run in processes of their own, importable there."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from headrace import Complete, Context, Headrace, RetryPolicy

app = Headrace("apart")
opened: list[int] = []
kept: list[bytearray] = []


@app.lifespan
async def model() -> AsyncIterator[None]:
    opened.append(os.getpid())
    yield
    opened.clear()


@app.task(executor="process")
def pid() -> int:
    return os.getpid()


@app.task(executor="process")
async def whereabouts(ctx: Context, text: str) -> list[object]:
    await ctx.progress(0.5)
    return [os.getpid(), opened, text, ctx.attempt, str(ctx.job_id)]


@app.task(executor="process", max_attempts=1)
def crash(how: str) -> None:
    if how == "exits":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(executor="process", max_attempts=1, timeout="500ms")
def spin() -> None:
    while True:
        pass


@app.task(executor="process", max_attempts=1, timeout="500ms")
async def spin_in_loop() -> None:
    while True:
        pass


@app.task(executor="process", max_attempts=1, timeout="500ms")
async def asks_for_more(ctx: Context) -> str:
    await ctx.extend("20s")
    await asyncio.sleep(0.8)  # past its timeout, which is what it asked more time for
    return "done"


@app.task(executor="process")
def raises() -> None:
    raise ValueError("of the handler's own")


@app.task(executor="process")
async def writes(ctx: Context, text: str, *, fails: bool) -> None:
    async with ctx.transaction() as tx:
        await tx.execute("INSERT INTO written VALUES ($1)", text)
    if fails:
        raise ValueError("after its block")


@app.task(executor="process")
async def enqueues() -> str:
    return str((await pid.enqueue()).id)


@app.task(executor="process")
async def waits(begun: str) -> str:
    Path(begun).touch()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "cleaned up"
    return "never"


@app.task(executor="process")
def heeds(ctx: Context, begun: str) -> Complete:
    Path(begun).touch()
    while ctx.cancellation is None:
        time.sleep(0.01)  # as long as one step of its work
    return Complete(ctx.cancellation.reason)


@app.task(executor="process")
def is_deaf(begun: str) -> None:
    Path(begun).write_text(str(os.getpid()))
    while True:
        pass


@app.task(executor="process", max_attempts=1)
def takes_memory(megabytes: int) -> int:
    kept.append(bytearray(os.urandom(1 << 10) * (megabytes << 10)))
    return os.getpid()


@app.task(retry=RetryPolicy(steps=(timedelta(seconds=0.1),)))
async def kills_its_process(begun: str) -> None:
    """Poison: whoever runs it dies, once its neighbour is there."""
    while not Path(begun).exists():
        await asyncio.sleep(0.01)  # nobody tells
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(max_attempts=3)
async def innocent(ctx: Context, begun: str) -> list[int]:
    if ctx.attempt <= 2:
        Path(begun).touch()
        await asyncio.Event().wait()
    return [ctx.attempt, os.getpid()]


@app.task(max_attempts=2)
async def meets(place: str, n: int) -> int:
    """Ends once so many of them run at once."""
    (Path(place) / uuid4().hex).touch()
    while len(list(Path(place).iterdir())) < n:
        await asyncio.sleep(0.01)  # nobody tells
    return os.getpid()


async def _effect(ctx: Context, n: int) -> None:
    async with ctx.transaction() as tx:
        await tx.execute("INSERT INTO effect VALUES ($1, $2)", n, os.getpid())
        await asyncio.sleep(0.05)  # so that kills meet open transactions


@app.task(max_attempts=50, retry=RetryPolicy(steps=(timedelta(seconds=0.1),)))
async def effect_in_worker(ctx: Context, n: int) -> None:
    await _effect(ctx, n)


@app.task(max_attempts=50, executor="process")
async def effect_in_process(ctx: Context, n: int) -> None:
    await _effect(ctx, n)


@app.task(max_attempts=2)
def wants_to_be_alone(mark: str) -> None:
    with Path(mark).open("x"):
        time.sleep(0.3)  # as long as its work
    Path(mark).unlink()


@app.task(queue="batches", batch=3, batch_wait="50ms")
async def batch_of(items: list[str]) -> list[int]:
    if "kill" in items:
        os.kill(os.getpid(), signal.SIGKILL)
    return [os.getpid()] * len(items)
