"""One job for a key, whoever asks and however."""

import asyncio

import asyncpg

from headrace import Headrace, Task
from integration.ledgers import stored


def charge_task(app: Headrace) -> Task[[int], None]:
    @app.task()
    async def charge(amount: int) -> None: ...

    return charge


async def test_concurrent_callers_with_one_key_make_one_job(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    once = charge_task(app).options(idempotency_key="order-1")
    jobs = await asyncio.gather(*(once.enqueue(amount) for amount in range(40)))
    assert len({job.id for job in jobs}) == await stored(sql) == 1
    assert sorted(job.duplicate for job in jobs) == [False] + [True] * 39


async def test_a_key_belongs_to_a_tenant_and_a_task(app: Headrace, sql: asyncpg.Connection) -> None:
    charge = charge_task(app)

    @app.task()
    async def refund(amount: int) -> None: ...

    await charge.options(idempotency_key="k").enqueue(1)
    assert not (await refund.options(idempotency_key="k").enqueue(1)).duplicate
    assert not (await charge.options(idempotency_key="k", tenant="acme").enqueue(1)).duplicate
    assert (await charge.options(idempotency_key="k", tenant="acme").enqueue(1)).duplicate
    assert await stored(sql) == 3


async def test_duplicates_within_one_call_are_marked(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    charge = charge_task(app)
    a, b = charge.options(idempotency_key="a"), charge.options(idempotency_key="b")
    jobs = await app.enqueue_many([b.job(1), a.job(2), charge.job(3), b.job(4), a.job(5)])
    assert [job.duplicate for job in jobs] == [False, False, False, True, True]
    assert (jobs[0].id, jobs[1].id) == (jobs[3].id, jobs[4].id)
    assert await stored(sql) == 3


async def test_a_key_whose_time_is_over_is_free_again(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    once = charge_task(app).options(idempotency_key="k", idempotency_for="1h")
    first = await once.enqueue(1)
    await sql.execute("UPDATE headrace.idempotency SET until = now() - interval '1 second'")
    second = await once.enqueue(2)
    assert not second.duplicate
    assert second.id != first.id
    assert (await once.enqueue(3)).id == second.id


async def waits_for_a_lock(sql: asyncpg.Connection) -> None:
    """Until some statement waits for another transaction: the state is PostgreSQL's to tell."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while not await sql.fetchval(query):
            pass  # each question is a round trip


async def test_a_key_of_an_open_transaction_is_waited_for_until_it_commits(
    app: Headrace, sql: asyncpg.Connection, migrated_url: str
) -> None:
    once = charge_task(app).options(idempotency_key="k")
    other = await asyncpg.connect(migrated_url)
    transaction = other.transaction()
    await transaction.start()
    first = await once.enqueue(1, tx=other)
    waiting = asyncio.create_task(once.enqueue(2))
    await waits_for_a_lock(sql)
    assert not (await charge_of_other_key(app)).duplicate, "others do not wait with it"
    await transaction.commit()
    second = await waiting
    await other.close()
    assert (second.id, second.duplicate) == (first.id, True)


async def test_a_key_of_a_transaction_that_is_rolled_back_is_free(
    app: Headrace, sql: asyncpg.Connection, migrated_url: str
) -> None:
    once = charge_task(app).options(idempotency_key="k")
    other = await asyncpg.connect(migrated_url)
    transaction = other.transaction()
    await transaction.start()
    first = await once.enqueue(1, tx=other)
    waiting = asyncio.create_task(once.enqueue(2))
    await waits_for_a_lock(sql)
    await transaction.rollback()
    second = await waiting
    await other.close()
    assert not second.duplicate
    assert second.id != first.id
    assert await stored(sql) == 1


async def charge_of_other_key(app: Headrace):  # type: ignore[no-untyped-def] # noqa: ANN201
    return await app.tasks["charge"].options(idempotency_key="other").enqueue(9)
