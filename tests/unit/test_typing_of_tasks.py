"""What type checkers accept and refuse: mypy and pyright read this file, and pytest runs it.

Where a line is refused, both must refuse it: they complain of a `type: ignore` without a reason.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any, assert_type
from uuid import UUID

from headrace import (
    Context,
    Depends,
    Headrace,
    Job,
    JobHandle,
    JobSpec,
    State,
    Task,
    injected,
)
from headrace.middleware import Next

app = Headrace("typing")


@app.task(queue="emails")
async def with_context(ctx: Context, to: str, subject: str = "") -> int:
    return len(to + subject) + ctx.attempt


@app.task()
async def without_context(to: str, *, copies: int = 1) -> str:
    return to * copies


@app.task()
def plain(number: int, /) -> float:
    return number / 2


@app.task()
def plain_with_context(ctx: Context, number: int) -> float:
    return number / ctx.attempt


@app.schedule("nothing", every="1h")
@app.task()
async def nothing() -> None: ...


app.schedule("doubled", without_context.job("a", copies=2), cron="@daily", tz="Europe/Berlin")


async def timed(_: Context, call_next: Next, *, slow: float = 1.0) -> object:
    return slow, await call_next()


@app.lifespan
async def open_pool() -> AsyncIterator[list[str]]:
    yield ["pool"]


@app.on_error
def track(ctx: Context, exc: BaseException) -> int:
    return len(ctx.task + str(exc))


@app.task()
async def provided(to: str, pool: Annotated[list[str], Depends(open_pool)] = injected) -> str:
    return f"{to} by {pool}"


@app.task(batch=10, batch_wait="1s", queue="batches")
async def many(contexts: list[Context], items: list[str]) -> list[int]:
    return [len(item) + ctx.attempt for ctx, item in zip(contexts, items, strict=True)]


@app.task(batch=10, queue="batches")
async def many_without(items: list[float]) -> None: ...


async def what_batches_take() -> None:
    assert_type(await many.enqueue("a"), JobHandle[int])
    assert_type(await many_without.enqueue(1.5), JobHandle[None])
    assert_type(await many("a"), int)
    assert_type(many.job("a"), JobSpec[int])
    await many.enqueue(1)  # type: ignore[call-overload]
    await many.enqueue(["a"])  # type: ignore[call-overload]
    app.task(batch="10")  # type: ignore[call-overload]
    app.task(batch_wait="1s")  # type: ignore[call-overload]


async def what_runs_are_provided_with(ctx: Context) -> None:
    assert_type(await provided.enqueue("a"), JobHandle[str])
    assert_type(await provided("a"), str)
    assert_type(await provided("a", ["pool"]), str)
    assert_type(ctx.state(open_pool), list[str])
    assert_type(track(ctx, ValueError()), int)
    Headrace("x", middleware=[timed])
    app.task(middleware={"slow": 2.0})
    await provided("a", 1)  # type: ignore[arg-type]
    await provided.enqueue("a", 1)  # type: ignore[call-overload]
    app.task(middleware=["slow"])  # type: ignore[call-overload]
    app.lifespan(timed)  # type: ignore[arg-type]
    app.on_error(timed)  # type: ignore[type-var]
    ctx.state(timed)  # type: ignore[arg-type]


async def what_is_accepted(session: object) -> None:
    assert_type(await with_context.enqueue("a", "b"), JobHandle[int])
    assert_type(await with_context.enqueue(to="a", subject="b"), JobHandle[int])
    assert_type(await with_context.enqueue("a", "b", tx=session), JobHandle[int])
    assert_type(await with_context.options(tx=session).enqueue("a"), JobHandle[int])
    assert_type(await without_context.options(delay="1s").enqueue("a", copies=2), JobHandle[str])
    assert_type(await plain.enqueue(1), JobHandle[float])
    assert_type(await nothing.enqueue(), JobHandle[None])
    assert_type(await app.enqueue_many([plain.job(1), plain.job(2)]), list[JobHandle[float]])
    assert_type(await (await plain.enqueue(1)).result(), float)


async def what_options_keep(session: object) -> None:
    later = with_context.options(delay=timedelta(seconds=1), priority="high", queue="emails")
    assert_type(await later.enqueue("a", subject="b"), JobHandle[int])
    assert_type(later.job("a"), JobSpec[int])
    assert_type(later.enqueue_sync("a"), JobHandle[int])
    assert_type(later.enqueue_sync("a", tx=session), JobHandle[int])
    assert_type(await (await later.enqueue("a")).result(timeout="2m"), int)


def what_is_accepted_without_a_loop(session: object) -> None:
    assert_type(with_context.enqueue_sync("a", "b"), JobHandle[int])
    assert_type(without_context.enqueue_sync("a", copies=2), JobHandle[str])
    assert_type(plain.enqueue_sync(1, tx=session), JobHandle[float])
    assert_type(app.enqueue_many_sync([plain.job(1)], tx=session), list[JobHandle[float]])
    job = plain.enqueue_sync(1)
    assert_type(job.result_sync(timedelta(seconds=1)), float)
    assert_type(job.refresh_sync(), Job)
    assert_type(job.state, State | None)
    assert_type(job.id, UUID)
    assert_type(app.get_sync(job.id), JobHandle[Any])
    assert_type(app.get_many_sync([job.id, str(job.id)]), list[Job])


def what_a_task_tells() -> None:
    assert_type(with_context.name, str)
    assert_type(with_context.max_attempts, int)
    assert_type(with_context.timeout, timedelta)
    any_task: Task[..., Any] = plain
    assert_type(app.tasks["plain"], Task[..., Any])
    assert_type(any_task.queue, str)


async def what_is_refused(session: object) -> None:
    await with_context.enqueue(1, 2)  # type: ignore[call-overload]
    await with_context.enqueue()  # type: ignore[call-overload]
    await with_context.options(tx=session).enqueue(1)  # type: ignore[call-overload]
    with_context.job("a", wrong=1)  # type: ignore[call-arg]
    with_context.options(delay="1s").job(1)  # type: ignore[arg-type]
    with_context.options(delay="1s").enqueue_sync()  # type: ignore[call-overload]
    with_context.enqueue_sync("a", copies=2)  # type: ignore[call-overload]
    without_context.enqueue_sync(1)  # type: ignore[call-overload]
    with_context.enqueue_sync("a").result_sync(timeout=5)  # type: ignore[arg-type]
    (await plain.enqueue(1)).result_sync().upper()  # type: ignore[attr-defined]
    app.enqueue_many_sync([plain(1)])  # type: ignore[arg-type]
    with_context.options(dealy="1s")  # type: ignore[call-arg]
    with_context.options(delay=5)  # type: ignore[arg-type]
    app.task(quue="x")  # type: ignore[call-overload]
    Headrace("x", databse_url="x")  # type: ignore[call-arg]


async def test_a_plain_call_has_the_type_and_value_of_the_function() -> None:
    assert assert_type(await with_context("a", subject="b"), int) == 3
    assert assert_type(await without_context("a", copies=2), str) == "aa"
    assert assert_type(plain(3), float) == 1.5
    assert assert_type(plain_with_context(3), float) == 3.0
    await nothing()
