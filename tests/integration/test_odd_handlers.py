"""Whatever a handler raises is its job's failure: its slot, its worker and its neighbours go on."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from pydantic import BaseModel, model_serializer

from headrace import Complete, Context, Dead, Headrace, JobDead, Retry, RetryPolicy, Snooze, State
from headrace.worker.worker import Worker


class Silent(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


class Unheard(BaseException):
    """No Exception."""


@dataclass
class Picky:
    number: int

    def __post_init__(self) -> None:
        raise KeyError("street")


async def silent() -> None:
    raise Silent


async def unheard() -> None:
    raise Unheard("nobody catches this")


async def several() -> None:
    raise BaseExceptionGroup("several", [Unheard()])


async def leaves() -> None:
    sys.exit()


def leaves_in_thread() -> None:
    sys.exit(3)


def stops_in_thread() -> int:
    nothing: list[int] = []
    return next(iter(nothing))


async def complete_twice() -> Any:
    return Complete(Complete(3))


async def raise_complete_twice() -> None:
    raise Complete(Complete(3))


def complete_twice_in_thread() -> Any:
    return Complete(Complete(3))


async def picky(one: Picky) -> None:
    del one


class Unready(Snooze):
    def __init__(self) -> None:
        """Names no delay."""


class Untold(BaseModel):
    @model_serializer
    def tell(self) -> dict[str, Any]:
        raise KeyError("street")


async def retries_for_a_cause() -> None:
    raise Retry(ValueError("the cause"))


async def dies_of_a_cause() -> Any:
    return Dead(ValueError("the cause"))


async def raises_an_unready_outcome() -> None:
    raise Unready


async def returns_an_unready_outcome() -> Any:
    return Unready()


async def raises_what_cannot_be_told() -> None:
    raise Complete(Untold())


async def returns_what_cannot_be_told() -> Any:
    return Untold()


async def returns_what_has_no_json() -> Any:
    return object()


async def snoozes_for_nothing_known() -> None:
    raise Snooze(float("nan"))  # type: ignore[arg-type] # the very mistake


async def says_too_much() -> None:
    raise ValueError("a\0b\ud800" + "x" * 5_000_000)


async def several_thousand() -> None:
    raise ExceptionGroup("many", [ValueError(str(number)) for number in range(5000)])


async def a_long_story() -> None:
    cause: BaseException | None = None
    for number in range(5000):
        error = ValueError(str(number))
        error.__cause__, cause = cause, error
    raise error


ODD: dict[str, tuple[Callable[..., Any], str]] = {
    "text that fails": (silent, "Silent: its text cannot be had: ZeroDivisionError in __str__"),
    "base exception": (unheard, "Unheard: nobody catches this"),
    "group": (several, "BaseExceptionGroup: several"),
    "exit": (leaves, "SystemExit"),
    "exit of a thread": (leaves_in_thread, "SystemExit: 3"),
    "StopIteration of a thread": (stops_in_thread, "StopIteration"),
    "complete of complete": (complete_twice, "TypeError: Complete is no outcome"),
    "raised": (raise_complete_twice, "TypeError: Complete is no outcome"),
    "retry for a cause": (retries_for_a_cause, "Retry: the cause"),
    "dead of a cause": (dies_of_a_cause, "Dead: the cause"),
    "unready, raised": (raises_an_unready_outcome, "AttributeError: .*delay"),
    "unready, returned": (returns_an_unready_outcome, "AttributeError: .*delay"),
    "untold, raised": (raises_what_cannot_be_told, "KeyError: 'street'"),
    "untold, returned": (returns_what_cannot_be_told, "KeyError: 'street'"),
    "no JSON": (returns_what_has_no_json, "BadPayload: .*the result cannot be stored as JSON"),
    "a snooze of NaN": (snoozes_for_nothing_known, "UsageError: delay=nan is not a duration"),
    "a huge text": (says_too_much, "ValueError: a\ufffdb.xxx"),
    "thousands at once": (several_thousand, "ExceptionGroup: many"),
    "thousands in a row": (a_long_story, "ValueError: 4999"),
    "complete of a thread": (complete_twice_in_thread, "TypeError: Complete is no outcome"),
}


@pytest.mark.parametrize(("handler", "words"), ODD.values(), ids=ODD)
async def test_an_odd_failure_is_one_failure(
    app: Headrace, handler: Callable[..., Awaitable[None]], words: str
) -> None:
    odd = app.task(queue="q", max_attempts=1)(handler)

    @app.task(queue="q")
    async def plain() -> str:
        return "fine"

    broken = await odd.enqueue()
    worker = asyncio.create_task(Worker(app, {"q": 1}).run(burst=True))
    with pytest.raises(JobDead, match=words):
        await broken.result("10s")
    await worker
    assert await _runs(app, plain)


async def _runs(app: Headrace, plain: Any) -> bool:
    job = await plain.enqueue()
    await Worker(app, {"q": 1}).run(burst=True)
    return bool(await job.result("10s") == "fine")


class Wayward(RetryPolicy):
    def delay(self, failures: int, roll: float) -> Any:  # noqa: ARG002 - as in the policy
        if failures == 1:
            raise ZeroDivisionError
        return "soon"


async def test_a_retry_policy_that_fails_fails_nothing_else(
    app: Headrace, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task(queue="q", max_attempts=2, retry=Wayward())
    async def fail() -> None:
        raise ValueError("the cause")

    job = await fail.enqueue()
    worker = Worker(app, {"q": 1})
    running = asyncio.create_task(worker.run())
    with pytest.raises(JobDead, match="the cause"):
        await job.result("20s")
    worker.finish()
    await running
    assert caplog.text.count("the retry policy of <task") == 2


async def test_a_validator_that_raises_anything_fails_its_job(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    odd = app.task(queue="q", max_attempts=1)(picky)
    await app.enqueue_many([])
    await sql.execute(
        'SELECT headrace_enqueue(\'{"task": "picky", "args": {"one": {"number": 1}}}\')'
    )
    await Worker(app, {"q": 1}).run(burst=True)
    assert odd.name == "picky"
    error = await sql.fetchval("SELECT error ->> 'type' FROM headrace.job WHERE state = 3")
    assert error == "KeyError"


def begins_a_transaction(ctx: Context) -> None:
    async def write() -> None:
        async with ctx.transaction() as tx:
            await tx.execute("SELECT 1")

    asyncio.run(write())


def asks_for_more_time(ctx: Context) -> None:
    asyncio.run(ctx.extend("1m"))


@pytest.mark.parametrize(
    ("handler", "verb"), [(begins_a_transaction, "transaction"), (asks_for_more_time, "extend")]
)
async def test_what_belongs_to_the_workers_loop_is_refused_in_a_thread(
    app: Headrace, handler: Callable[[Context], None], verb: str
) -> None:
    job = await app.task(queue="q", max_attempts=1)(handler).enqueue()
    await Worker(app, {"q": 1}).run(burst=True)
    found = await job.refresh()
    assert (found.error or {})["message"] == (
        f"ctx.{verb}() works in the event loop of the worker, and the handler of task "
        f'"{handler.__name__}" runs in a thread with another one; write the task as `async def`'
    )


async def test_a_thread_tells_its_progress(app: Headrace, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "headrace.worker")

    @app.task(queue="q", max_attempts=1)
    def half(ctx: Context) -> str:
        ctx.progress(0.5, "half-way")
        return "done"

    job = await half.enqueue()
    await Worker(app, {"q": 1}).run(burst=True)
    assert await job.result("1s") == "done"
    assert "50 % half-way" in caplog.text


async def test_of_blocks_that_begin_at_once_all_are_kept_or_none(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    await sql.execute("CREATE TABLE mine (n int)")
    turn = asyncio.Lock()

    @app.task(queue="q", max_attempts=1)
    async def two(ctx: Context) -> None:
        async def write(n: int) -> None:
            async with ctx.transaction() as tx, turn:
                await tx.execute("INSERT INTO mine VALUES ($1)", n)

        await asyncio.gather(write(1), write(2))

    job = await two.enqueue()
    await Worker(app, {"q": 1}).run(burst=True)
    await job.refresh()
    stored = [row["n"] for row in await sql.fetch("SELECT n FROM mine ORDER BY n")]
    assert stored == ([1, 2] if job.state is State.COMPLETED else [])
