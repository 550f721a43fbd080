"""What people see as the runs of a job: the attempts that were made, however they ended."""

import asyncio

import pytest
from typer.testing import CliRunner

from headrace import Cancel, Dead, Headrace, Retry, Snooze, State
from headrace.cli.root import app as program
from headrace.connect import inspecting
from headrace.worker.worker import Worker


def register(app: Headrace) -> None:
    @app.task(queue="runs")
    async def works() -> None: ...

    @app.task(queue="runs")
    async def dies() -> None:
        raise Dead("no use")

    @app.task(queue="runs", max_attempts=1)
    async def returns_what_cannot_be_kept() -> object:
        return object()

    @app.task(queue="runs")
    async def cancels() -> Cancel:
        return Cancel("not wanted")

    @app.task(queue="runs", max_attempts=1)
    async def fails() -> None:
        raise ValueError("boom")

    @app.task(queue="runs")
    async def fails_once() -> None:
        raise Retry(after="1h")

    @app.task(queue="runs")
    async def snoozes() -> Snooze:
        return Snooze("1h")


@pytest.mark.parametrize(
    ("task", "state", "runs"),
    [
        ("works", State.COMPLETED, 1),
        ("dies", State.DEAD, 1),
        ("returns_what_cannot_be_kept", State.DEAD, 1),
        ("cancels", State.CANCELLED, 1),
        ("fails", State.DEAD, 1),
        ("fails_once", State.RETRYABLE, 1),
        ("snoozes", State.SCHEDULED, 0),
    ],
)
async def test_runs_are_the_attempts_made(
    task: str, state: State, runs: int, app: Headrace
) -> None:
    register(app)
    job = await app.tasks[task].enqueue()
    await Worker(app, {"runs": 1}).run(burst=True)
    shown = await job.refresh()
    assert (shown.state, shown.attempt) == (state, runs)


async def test_what_an_operator_cancels_was_not_run_by_that(app: Headrace) -> None:
    register(app)
    waiting = await app.tasks["works"].options(delay="1h").enqueue()
    failed = await app.tasks["fails_once"].enqueue()
    await Worker(app, {"runs": 1}).run(burst=True)
    async with inspecting(app.settings) as inspector:
        await inspector.cancel([waiting.id, failed.id], "test")
        jobs = {job.id: job.attempt for job in await inspector.get_many([waiting.id, failed.id])}
    assert jobs == {waiting.id: 0, failed.id: 1}


async def test_a_stack_is_shown_in_lines(app: Headrace) -> None:
    register(app)
    job = await app.tasks["fails"].enqueue()
    await Worker(app, {"runs": 1}).run(burst=True)
    runner = CliRunner(env={"HEADRACE_DATABASE_URL": app.settings.database_url, "COLUMNS": "80"})
    shown = await asyncio.to_thread(runner.invoke, program, ["jobs", "show", str(job.id)])
    lines = shown.stdout.splitlines()
    assert any(line.split() == ["runs", "1", "of", "1"] for line in lines)
    assert any(line.split()[:2] == ["error", "ValueError:"] for line in lines)
    assert '    raise ValueError("boom")' in [line[2:] for line in lines]
    assert lines[-1] == "  ValueError: boom"
    assert not any("\\n" in line for line in lines)
