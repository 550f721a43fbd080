"""An application against a real ledger: from enqueue to result."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from headrace import Context, Headrace, State
from headrace.ledger.migrate import migrate
from headrace.worker.worker import Worker


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[Headrace]:
    await migrate(database_url)
    app = Headrace("tests", database_url=database_url)
    app.queue("default")
    async with app:
        yield app


async def test_a_job_runs_and_its_result_is_awaited(app: Headrace) -> None:
    @app.task(queue="emails")
    async def greet(ctx: Context, name: str, /, punctuation: str = "!") -> str:
        return f"{ctx.attempt} {name}{punctuation}"

    job = await greet.enqueue("you")
    states = [job.state]
    waiting = asyncio.create_task(job.result())
    await Worker(app, {"emails": 2}).run(burst=True)
    assert await waiting == "1 you!"
    states.append(job.state)
    assert states == [State.AVAILABLE, State.COMPLETED]
