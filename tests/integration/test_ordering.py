"""Ordering keys of an application: what it says, raw SQL, who ends elsewhere, verify."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from headrace import Headrace, State, UsageError
from headrace.engines.ledgered import LedgeredEngine
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify
from headrace.relay.unblocker import Unblocker
from headrace.worker.worker import Worker
from integration.served import until

KEYS = "SELECT headers -> 'order' ->> 'key' FROM headrace.job ORDER BY id"
RELEASED = "SELECT count(*) FROM headrace.job WHERE state = 0"


async def test_a_task_makes_the_key_of_its_arguments(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task(order_key="{region}-{customer}")
    async def bill(customer: int, region: str = "north") -> None: ...

    await bill.enqueue(7)
    await bill.enqueue(7, "south")
    await bill.options(order_key="mine {as it is}").enqueue(7)
    await bill.options(order_key=None).enqueue(7)
    keys = [row[0] for row in await sql.fetch(KEYS)]
    assert keys == ["north-7", "south-7", "mine {as it is}", None]


async def test_a_burst_ends_with_the_last_of_a_line(app: Headrace) -> None:
    ran: list[int] = []

    @app.task(order_key="all of them")
    async def step(n: int) -> None:
        ran.append(n)

    await app.enqueue_many([step.job(n) for n in range(50)])
    await Worker(app, {"default": 10}).run(burst=True)
    assert ran == list(range(50))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order_key": "{customer.name}"}, "order_key '{customer.name}' is none"),
        ({"order_key": "{region}"}, 'no argument "region", which its order_key names'),
        ({"order_key": 7}, "order_key 7 is none"),
        ({"on_dead": "wait"}, "on_dead='wait' is unknown"),
    ],
)
def test_what_a_task_cannot_say(options: Any, words: str) -> None:
    app = Headrace("tests")
    with pytest.raises(UsageError, match=words):

        @app.task(**options)  # type: ignore[untyped-decorator] # it is refused
        async def bill(customer: int) -> None: ...


async def test_what_a_job_cannot_say(app: Headrace) -> None:
    @app.task(order_key="{customer}")
    async def bill(customer: str) -> None: ...

    with pytest.raises(UsageError, match="order_key has 0 characters"):
        await bill.enqueue("")
    with pytest.raises(UsageError, match="order_key has 501 characters"):
        bill.options(order_key="x" * 501)
    with pytest.raises(UsageError, match="NUL"):
        await bill.enqueue("a\0b")


async def test_raw_sql_says_it_too(app: Headrace, sql: asyncpg.Connection) -> None:
    @app.task()
    async def bill() -> None: ...

    await app.declare()
    document = json.dumps({"task": "bill", "order_key": "k", "on_dead": "skip"})
    first, second = [await sql.fetchval("SELECT headrace_enqueue($1)", document) for _ in range(2)]
    assert [(await app.get(one)).state for one in (first, second)] == [
        State.AVAILABLE,
        State.BLOCKED,
    ]
    for odd, words in (
        ({"order_key": ""}, "give 1 to 500 characters"),
        ({"on_dead": "skip"}, "order_key is missing"),
        ({"order_key": "k", "on_dead": "wait"}, "and block or skip"),
    ):
        with pytest.raises(asyncpg.PostgresError, match=words):
            await sql.fetchval("SELECT headrace_enqueue($1)", json.dumps({"task": "bill", **odd}))


async def test_ends_that_no_worker_saw_let_go_what_waits(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    """Raw SQL, an operator, a worker that died in between: whoever looks next finds it."""

    @app.task(order_key="k")
    async def step() -> None: ...

    jobs = await app.enqueue_many([step.job() for _ in range(3)])
    await sql.execute("DELETE FROM headrace.job WHERE id = $1", jobs[0].id)
    assert isinstance(app.engine, LedgeredEngine)
    await app.engine.unblock()
    assert await jobs[1].cancel()
    await app.engine.unblock()
    assert (await jobs[2].refresh()).state is State.AVAILABLE
    assert not (await app.engine.ledger.links.woken()).now


async def test_a_transaction_that_sees_no_more_than_its_snapshot_is_refused_or_right(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    """Were it to go by its snapshot, it would wait for one that is over."""

    @app.task(order_key="k")
    async def step() -> None: ...

    first = await step.enqueue()
    begun = sql.transaction(isolation="repeatable_read")
    await begun.start()
    await sql.fetchval("SELECT 1")
    assert await first.cancel()
    assert isinstance(app.engine, LedgeredEngine)
    await app.engine.unblock()
    second = await step.enqueue()
    with pytest.raises(Exception, match="could not serialize"):
        await step.enqueue(tx=sql)
    await begun.rollback()
    assert (await second.refresh()).state is State.AVAILABLE


async def test_two_hundred_callers_of_one_key_are_in_one_line(
    app: Headrace, sql: asyncpg.Connection, migrated_url: str
) -> None:
    @app.task(order_key="k")
    async def step() -> None: ...

    await asyncio.gather(*(step.enqueue() for _ in range(200)))
    assert await sql.fetchval(RELEASED) == 1
    async with Queries(migrated_url) as queries:
        verdicts = await verify(queries, quiesced=True, repair=False)
    assert [one.breaches for one in verdicts if one.check.name in ("order", "blocked")] == [(), ()]


async def test_somebody_looks_again_and_again(app: Headrace) -> None:
    """The loop that looks where whoever ended a job could not."""

    @app.task(order_key="k")
    async def step() -> None: ...

    jobs = await app.enqueue_many([step.job() for _ in range(2)])
    assert await jobs[0].cancel()
    assert isinstance(app.engine, LedgeredEngine)
    unblocker = Unblocker(app.engine)
    unblocker.loop.start()
    await until(lambda: _available(jobs[1]))
    await unblocker.loop.stop()


async def _available(job: Any) -> bool:
    return bool((await job.refresh()).state is State.AVAILABLE)
