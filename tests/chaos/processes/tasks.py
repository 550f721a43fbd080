"""The application that chaos processes share: a handler for each way in which a run can go.

Each job carries ``order``, which names the producer's request, and ``seconds`` to take.
"""

import asyncio
import os
import signal
from collections.abc import Iterable
from datetime import timedelta
from random import random
from threading import Event

from headrace import Cancel, Context, Dead, Headrace, RateLimit, Retry, RetryPolicy, Snooze

QUEUE = "work"
STRICT = "careful-work"
ATTEMPTS = 20  # enough that faults alone use up nobody's
NOW = timedelta(milliseconds=20)
SOON = timedelta(milliseconds=200)
NARROW = RateLimit("narrow", "8/150ms", "40/s")
RETRY = RetryPolicy(base=NOW, cap=SOON)
EFFECT = "INSERT INTO effect (job, gen_of_run) VALUES ($1, $2)"


class Middle:
    """The middle of a handler, as a point."""

    def reach(self) -> None:
        """Be there."""


def block(seconds: float) -> None:
    """Hold up this thread; libfaketime makes time.sleep fail, whatever the time."""
    Event().wait(seconds)


def build(
    middle: Middle,
    queues: Iterable[str] = (),
    database_url: str | None = None,
    redis_url: str | None = None,
) -> Headrace:
    """Return the application, not yet started."""
    app = Headrace("chaos", database_url=database_url, redis_url=redis_url)
    app.queue(STRICT, promise="strict")
    for queue in queues:
        app.queue(queue)
    _tasks_that_complete(app, middle)
    _tasks_with_effects(app, middle)
    _tasks_that_go_wrong(app, middle)
    _tasks_that_steer(app)
    _tasks_under_limits(app, middle)
    _tasks_with_children(app, middle)
    return app


def _tasks_that_complete(app: Headrace, middle: Middle) -> None:
    @app.task(queue=QUEUE, max_attempts=ATTEMPTS, retry=RETRY)
    async def quick(order: str, seconds: float = 0.0) -> str:
        del seconds
        return order

    @app.task(queue=QUEUE, max_attempts=ATTEMPTS, retry=RETRY)
    async def slow(order: str, seconds: float) -> str:
        middle.reach()
        await asyncio.sleep(seconds)
        return order

    @app.task(queue=QUEUE, max_attempts=ATTEMPTS, retry=RETRY)
    def threaded(order: str, seconds: float) -> str:
        middle.reach()
        block(seconds)
        return order

    @app.task(queue=QUEUE, max_attempts=ATTEMPTS, retry=RETRY)
    async def blocking(order: str, seconds: float) -> str:
        block(seconds)  # the beat goes on in its own thread
        return order


def _tasks_with_effects(app: Headrace, middle: Middle) -> None:
    @app.task(queue=QUEUE, max_attempts=ATTEMPTS, retry=RETRY)
    async def effect(ctx: Context, order: str, seconds: float = 0.0) -> str:
        async with ctx.transaction() as tx:
            await tx.execute(EFFECT, ctx.job_id, ctx.attempt)
            middle.reach()
            await asyncio.sleep(seconds)
        return order

    @app.task(queue=QUEUE, max_attempts=ATTEMPTS, retry=RETRY)
    async def effect_then_failure(ctx: Context, order: str, seconds: float = 0.0) -> str:
        async with ctx.transaction() as tx:
            await tx.execute(EFFECT, ctx.job_id, ctx.attempt)
        await asyncio.sleep(seconds)
        if random() < 0.5:
            raise Retry("what it wrote is undone", after=NOW)
        return order


def _tasks_that_go_wrong(app: Headrace, middle: Middle) -> None:
    @app.task(queue=QUEUE, max_attempts=ATTEMPTS, retry=RETRY)
    async def failing(ctx: Context, order: str, seconds: float = 0.0) -> str:
        await asyncio.sleep(seconds)
        if ctx.attempt == 1:
            raise ValueError("the first attempt fails")
        return order

    @app.task(queue=QUEUE, max_attempts=2, retry=RETRY)
    async def doomed(order: str, seconds: float = 0.0) -> None:
        await asyncio.sleep(seconds)
        raise Dead(order) if random() < 0.5 else ValueError(order)

    @app.task(queue=QUEUE, max_attempts=1)
    async def once(order: str, seconds: float = 0.0) -> str:
        middle.reach()
        await asyncio.sleep(seconds)
        return order


def _tasks_that_steer(app: Headrace) -> None:
    @app.task(queue=QUEUE, max_attempts=ATTEMPTS)
    async def snoozing(order: str, seconds: float = 0.0) -> str:
        await asyncio.sleep(seconds)
        if random() < 0.5:
            raise Snooze(NOW)
        return order

    @app.task(queue=QUEUE, max_attempts=ATTEMPTS)
    async def unwanted(order: str, seconds: float = 0.0) -> None:
        await asyncio.sleep(seconds)
        raise Cancel(order)

    @app.task(queue=QUEUE, max_attempts=ATTEMPTS, retry=RETRY)
    async def retire(ctx: Context, order: str, seconds: float = 0.0) -> str:
        """Ask the own process to drain, as a deployment does."""
        if ctx.attempt == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(seconds)
        return order


def _tasks_under_limits(app: Headrace, middle: Middle) -> None:
    @app.task(queue=QUEUE, max_attempts=ATTEMPTS, retry=RETRY, limits=[NARROW])
    async def limited(order: str, seconds: float = 0.0) -> str:
        middle.reach()
        await asyncio.sleep(seconds)
        if random() < 0.1:
            raise Retry("each of its runs is a start", after=NOW)
        return order


def _tasks_with_children(app: Headrace, middle: Middle) -> None:
    @app.task(queue=QUEUE, max_attempts=ATTEMPTS, retry=RETRY)
    async def splitting(ctx: Context, order: str, seconds: float = 0.0) -> str:
        """Its children are there once, however often it begins: a request of one name each."""
        effect = app.tasks["effect"]
        await ctx.flow.add(*(effect.job(f"{order}/{n}", seconds) for n in range(3)))
        middle.reach()
        await asyncio.sleep(seconds)
        if random() < 0.2:
            raise Retry("what it added is undone", after=NOW)
        return order
