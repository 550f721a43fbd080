"""`SELECT headrace_enqueue('{...}')`: for every language that speaks to PostgreSQL."""

import json
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from headrace import Headrace, State
from headrace.model.priority import parse_priority
from headrace.worker.worker import Worker
from integration.ledgers import stored


@pytest.fixture
def declared(app: Headrace) -> Headrace:
    @app.task(queue="emails", priority="low", max_attempts=4)
    async def greet(name: str, punctuation: str = "!") -> str:
        return f"hello {name}{punctuation}"

    return app


async def enqueue(sql: asyncpg.Connection, job: Any) -> Any:
    return await sql.fetchval("SELECT headrace_enqueue($1::jsonb)", json.dumps(job))


async def declare(app: Headrace) -> None:
    await app.enqueue_many([])


async def test_a_job_gets_what_its_task_declares_and_runs(
    declared: Headrace, sql: asyncpg.Connection
) -> None:
    await declare(declared)
    handle = await declared.get(await enqueue(sql, {"task": "greet", "args": {"name": "you"}}))
    job = handle.job
    assert job is not None
    assert (job.queue, job.priority, job.max_attempts) == ("emails", 7, 4)
    await Worker(declared, {"emails": 1}).run(burst=True)
    assert await handle.result() == "hello you!"


async def test_every_field_can_be_given(declared: Headrace, sql: asyncpg.Connection) -> None:
    await declare(declared)
    document = {
        "id": str(declared.engine.new_id()), "task": "greet", "queue": "emails", "priority": 1,
        "max_attempts": 1, "delay": 3600, "idempotency_key": "k", "idempotency_for": 60,
        "tenant": "acme", "rerun_on_crash": True, "args": {"name": "you"},
    }  # fmt: skip
    job_id = await enqueue(sql, document)
    assert str(job_id) == document["id"]
    assert await enqueue(sql, {**document, "id": str(declared.engine.new_id())}) == job_id
    job = (await declared.get(job_id)).job
    assert job is not None
    assert (job.state, job.tenant, job.priority) == (State.SCHEDULED, "acme", 1)


async def test_priorities_have_the_names_of_the_python_api(
    declared: Headrace, sql: asyncpg.Connection
) -> None:
    await declare(declared)
    names = ["critical", "urgent", "HIGH", "Normal", "medium", "low", "background", 2, 10]
    levels = {name: parse_priority(name) for name in names} | {"4": 4, None: 7}
    for name, level in levels.items():
        job_id = await enqueue(sql, {"task": "greet", "args": {"name": "x"}, "priority": name})
        job = (await declared.get(job_id)).job
        assert job is not None
        assert job.priority == level, name


@pytest.mark.parametrize(
    ("job", "code", "message"),
    [
        ({"task": "gret"}, "HR001", 'task "gret" is unknown; start its application once'),
        ({"task": "a b"}, "HR001", "task name 'a b' is not allowed; use 1 to 100 letters"),
        ({}, "HR001", "task name null is not allowed"),
        ({"task": "greet", "queue": "x"}, "HR002", 'queue "x" is unknown; a task must declare'),
        ({"task": "greet", "delya": 10}, "HR003", '"delya" is no option of a job; known: task,'),
        ({"task": "greet", "priority": 11}, "HR003", 'priority "11" is unknown; use 1 (runs fi'),
        ({"task": "greet", "priority": 2.5}, "HR003", 'priority "2.5" is unknown; use 1 (runs '),
        ({"task": "greet", "priority": [1]}, "HR003", 'priority "[1]" is unknown; use 1 (runs '),
        (
            {"task": "greet", "priority": "urgnt"},
            "HR003",
            'priority "urgnt" is unknown; use 1 (runs first) to 10, or one of critical, urgent',
        ),
        ({"task": "greet", "max_attempts": 0}, "HR003", "max_attempts 0 at least 1"),
        ({"task": "greet", "args": [1]}, "HR003", "args must be a JSON object of at most 1 MiB"),
        ({"task": "greet", "args": {"name": "x" * 1_100_000}}, "HR003", "at most 1 MiB"),
        ({"task": "greet", "id": str(uuid4())}, "HR004", "is over one hour off the clock"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_code(
    declared: Headrace, sql: asyncpg.Connection, job: dict[str, Any], code: str, message: str
) -> None:
    await declare(declared)
    with pytest.raises(asyncpg.PostgresError) as refused:
        await enqueue(sql, job)
    assert refused.value.sqlstate == code
    assert message in str(refused.value)
    assert await stored(sql) == 0


async def test_arguments_that_do_not_fit_die_with_a_reason(
    declared: Headrace, sql: asyncpg.Connection
) -> None:
    await declare(declared)
    job_id = await enqueue(sql, {"task": "greet", "args": {"nam": "you"}})
    await Worker(declared, {"emails": 1}).run(burst=True)
    job = (await declared.get(job_id)).job
    assert job is not None
    assert (job.state, job.error) == (
        State.DEAD,
        {"type": "BadArguments", "message": 'task "greet": unknown argument nam; '
         "it takes (name, punctuation)"},
    )  # fmt: skip
