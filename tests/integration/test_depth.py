"""Queues that hold so many jobs at most: whoever enqueues, and in whatever transaction."""

import asyncio
import json

import asyncpg
import pytest

from headrace import Headrace, QueueFull, UsageError
from integration.ledgers import stored

DEPTH = 3


@pytest.fixture
def bounded(app: Headrace) -> Headrace:
    app.queue("exports", max_depth=DEPTH)

    @app.task(queue="exports")
    async def export(n: int) -> int:
        return n

    @app.task(queue="free")
    async def free(n: int) -> int:
        return n

    return app


async def test_a_transaction_counts_what_it_has_enqueued_itself(
    bounded: Headrace, sql: asyncpg.Connection
) -> None:
    export = bounded.tasks["export"]
    transaction = sql.transaction()
    await transaction.start()
    await bounded.enqueue_many([export.job(n) for n in range(DEPTH)], tx=sql)
    with pytest.raises(QueueFull, match="holds 3 jobs of 3 at most, so it takes no 1 more"):
        await export.enqueue(9, tx=sql)
    await transaction.rollback()
    assert await stored(sql) == 0
    async with sql.transaction():
        await bounded.enqueue_many([export.job(n) for n in range(DEPTH)], tx=sql)
        with pytest.raises(QueueFull):
            async with sql.transaction():  # a savepoint keeps the rest
                await export.enqueue(9, tx=sql)
    assert await stored(sql) == DEPTH


async def test_open_transactions_pass_the_limit_by_what_they_hold_and_no_more(
    bounded: Headrace, sql: asyncpg.Connection, migrated_url: str
) -> None:
    """Nobody waits for a transaction that may last."""
    jobs = [bounded.tasks["export"].job(n) for n in range(DEPTH)]
    other = await asyncpg.connect(migrated_url)
    async with sql.transaction(), other.transaction():
        await bounded.enqueue_many(jobs, tx=sql)
        await bounded.enqueue_many(jobs, tx=other)
    await other.close()
    assert await stored(sql) == 2 * DEPTH
    with pytest.raises(QueueFull, match="holds 6 jobs of 3 at most"):
        await jobs[0].task.enqueue(9)


async def test_raw_sql_gets_a_sqlstate_of_ours(bounded: Headrace, sql: asyncpg.Connection) -> None:
    await bounded.enqueue_many([bounded.tasks["export"].job(n) for n in range(DEPTH)])
    with pytest.raises(asyncpg.PostgresError, match="exports") as refused:
        await sql.execute(
            "SELECT headrace_enqueue($1::jsonb)", json.dumps({"task": "export", "args": {"n": 1}})
        )
    assert refused.value.sqlstate == "HR006"


async def test_who_is_refused_takes_nobody_along(
    bounded: Headrace, sql: asyncpg.Connection
) -> None:
    """Calls that share a commit."""
    calls = [bounded.tasks["export" if n % 2 else "free"].enqueue(n) for n in range(8 * DEPTH)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(one) for one in answers[::2]].count(QueueFull) == 0
    assert [type(one) for one in answers[1::2]].count(QueueFull) == 3 * DEPTH
    assert await stored(sql) == 5 * DEPTH


async def test_a_flow_and_an_event_are_refused_as_a_whole(
    bounded: Headrace, sql: asyncpg.Connection
) -> None:
    export, free = bounded.tasks["export"], bounded.tasks["free"]
    flow = bounded.flow()
    first = flow.add(free.job(0))
    for n in range(DEPTH + 1):
        flow.add(export.job(n), after=first)
    with pytest.raises(QueueFull):
        await flow.enqueue()
    topic = bounded.topic("orders", int)
    topic.subscribe("one")(free)
    topic.subscribe("two")(export)
    await bounded.enqueue_many([export.job(n) for n in range(DEPTH)])
    with pytest.raises(QueueFull):
        await topic.publish(1)
    assert await stored(sql) == DEPTH


@pytest.mark.parametrize("depth", [-1, True, 1.5, "many"])
def test_a_depth_that_cannot_be_is_refused(app: Headrace, depth: object) -> None:
    with pytest.raises(UsageError, match=r'queue "q": max_depth .* whole number from 0'):
        app.queue("q", max_depth=depth)  # type: ignore[arg-type]


def test_two_depths_of_one_queue_are_refused(app: Headrace) -> None:
    app.queue("q", max_depth=1)
    with pytest.raises(UsageError, match="max_depth 1 and 2; say one"):
        app.queue("q", max_depth=2)
