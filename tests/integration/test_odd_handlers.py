"""Whatever a handler raises is its job's failure: its slot, its worker and its neighbours go on."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from headrace import Complete, Context, Headrace, JobDead, State
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


ODD: dict[str, tuple[Callable[..., Any], str]] = {
    "text that fails": (silent, "Silent: its text cannot be had: ZeroDivisionError in __str__"),
    "base exception": (unheard, "Unheard: nobody catches this"),
    "group": (several, "BaseExceptionGroup: several"),
    "exit": (leaves, "SystemExit"),
    "exit of a thread": (leaves_in_thread, "SystemExit: 3"),
    "StopIteration of a thread": (stops_in_thread, "StopIteration"),
    "complete of complete": (complete_twice, "TypeError: Complete is no outcome"),
    "raised": (raise_complete_twice, "TypeError: Complete is no outcome"),
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


async def test_a_handler_that_cancels_its_slot_ends_the_worker_by_name(app: Headrace) -> None:
    @app.task(queue="q", max_attempts=1)
    async def cancels() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    await cancels.enqueue()
    with pytest.raises(RuntimeError, match="a handler cancelled the slot that it ran in"):
        await Worker(app, {"q": 1}).run()


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
