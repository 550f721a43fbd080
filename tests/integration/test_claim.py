from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from headrace.ledger.postgres import PostgresLedger
from headrace.model.job import Delivery, NewJob
from headrace.model.priority import STRIDES, Shares


@pytest.fixture
async def ledger(migrated_url: str) -> AsyncIterator[PostgresLedger]:
    ledger = PostgresLedger(migrated_url)
    await ledger.open()
    await ledger.declare((), ["claims"])
    yield ledger
    await ledger.close()


async def insert(ledger: PostgresLedger, n: int) -> list[UUID]:
    ids = sorted(ledger.new_id() for _ in range(n))
    await ledger.insert([NewJob(id=one, task="t", queue="claims", payload=b"{}") for one in ids])
    return ids


async def claim(ledger: PostgresLedger, worker: UUID, n: int) -> list[Delivery]:
    return await ledger.claim(worker, "claims", 1, n, (Shares().passes(), STRIDES))


async def test_a_job_given_back_behind_the_cursor_is_claimed_again(ledger: PostgresLedger) -> None:
    worker = uuid4()
    ids = await insert(ledger, 3)
    first, second = sorted(await claim(ledger, worker, 2), key=lambda one: one.id)
    await ledger.release(worker, [first])
    assert [one.id for one in await claim(ledger, worker, 1)] == ids[2:]
    assert [(one.id, one.gen) for one in await claim(ledger, worker, 1)] == [(first.id, 4)]
    assert second.id not in {one.id for one in await claim(ledger, worker, 9)}


async def test_many_workers_claim_each_job_once(ledger: PostgresLedger) -> None:
    ids = await insert(ledger, 50)
    taken = [one for _ in range(10) for one in await claim(ledger, uuid4(), 7)]
    assert sorted(one.id for one in taken) == sorted(ids)
    assert {one.gen for one in taken} == {2}
