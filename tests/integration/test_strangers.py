"""Jobs of tasks that a worker's code does not have, as in the midst of a deployment."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from headrace import Headrace, JobDead, State
from headrace.ledger.doctor import examine
from headrace.model.inspection import JobEvent
from headrace.model.past import put_off_as_unknown
from headrace.worker.worker import Worker
from integration.served import MODES, served, until

SECONDS = "30s"


@pytest.fixture(params=MODES)
async def new(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    """The application with a task that the old code has not."""
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:

        @app.task(queue="q", max_attempts=1)
        async def fresh() -> str:
            return "done"

        yield app


@pytest.fixture
async def old(new: Headrace) -> AsyncIterator[Headrace]:
    """The same without it."""
    settings = new.settings
    app = Headrace(
        "tests", database_url=settings.database_url, redis_url=settings.redis_url, lease="5s"
    )

    @app.task(queue="q")
    async def known() -> None: ...

    async with app:
        yield app


async def test_an_old_worker_leaves_a_job_for_a_new_one(new: Headrace, old: Headrace) -> None:
    ancient = Worker(old, {"q": 2})
    await ancient.start()
    job = await new.tasks["fresh"].enqueue()
    await until(lambda: _left(job), 20.0)
    await ancient.stop()
    left = await job.refresh()
    assert (left.state, left.failures, left.crashes) == (State.SCHEDULED, 0, 0)
    assert (left.error or {})["type"] == "UnknownTask"
    modern = Worker(new, {"q": 2})
    await modern.start()
    assert await job.result(SECONDS) == "done"
    assert not await job.attempts()
    await modern.stop()


async def _left(job: Any) -> bool:
    return bool((await job.refresh()).snoozes)


async def test_what_nobody_knows_is_dead_in_the_end(migrated_url: str) -> None:
    old = Headrace("tests", database_url=migrated_url, unknown_tasks="50ms")
    old.queue("q")

    @old.task(queue="q")
    async def known() -> None: ...

    async with old:
        job = await known.enqueue()
        del old._declared.tasks["known"]
        worker = Worker(old, {"q": 1})
        await worker.start()
        with pytest.raises(JobDead, match=r'UnknownTask: no task "known" in the code of this wo'):
            await job.result(SECONDS)
        await worker.stop()
        assert (await job.refresh()).snoozes >= 1


async def test_the_doctor_tells_of_tasks_that_nobody_knows(
    migrated_url: str, sql: asyncpg.Connection
) -> None:
    app = Headrace("tests", database_url=migrated_url)

    @app.task(queue="q")
    async def known() -> None: ...

    async with app:
        await known.enqueue()
        await known.enqueue()

    async def told() -> list[str]:
        return [one.text for one in await examine(migrated_url) if one.name == "tasks"]

    assert await told() == []
    await sql.execute("""UPDATE headrace.job SET snoozes = 3, error = '{"type": "UnknownTask"}'""")
    assert await told() == ["no worker knows the task of these jobs: 2 of known"]


def test_only_the_last_in_a_row_count() -> None:
    def event(number: int, kind: str, data: bytes | None) -> JobEvent:
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
        raw: Any = data
        return JobEvent(at=at, gen=number, kind=kind, actor="x", data=raw)

    unknown = b'{"type": "UnknownTask"}'
    events = [
        event(1, "snooze", unknown),
        event(2, "snooze", None),
        event(3, "snooze", unknown),
        event(4, "retry", b'{"type": "ValueError"}'),
        event(5, "snooze", unknown),
        event(6, "snooze", unknown),
    ]
    assert [one.gen for one in put_off_as_unknown(events)] == [5, 6]
    assert put_off_as_unknown(events[:4]) == []
