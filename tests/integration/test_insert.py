from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from headrace.errors import UsageError
from headrace.ledger.postgres import PostgresLedger
from headrace.model.job import NewJob


@pytest.fixture
async def ledger(migrated_url: str) -> AsyncIterator[PostgresLedger]:
    ledger = PostgresLedger(migrated_url)
    await ledger.open()
    await ledger.declare((), ["inserts"])
    yield ledger
    await ledger.close()


def new_job(job_id: UUID) -> NewJob:
    return NewJob(id=job_id, task="t", queue="inserts", payload=b"{}")


async def test_repeating_an_insert_changes_nothing(ledger: PostgresLedger) -> None:
    jobs = [new_job(ledger.new_id()) for _ in range(3)]
    first = await ledger.insert(jobs)
    assert await ledger.insert(jobs) == first
    assert len(await ledger.get([job.id for job in jobs])) == 3


async def test_a_repeated_insert_with_more_jobs_adds_these(ledger: PostgresLedger) -> None:
    jobs = [new_job(ledger.new_id()) for _ in range(4)]
    await ledger.insert(jobs[:2])
    await ledger.insert(jobs)
    assert {job.id for job in await ledger.get([job.id for job in jobs])} == {
        job.id for job in jobs
    }


async def test_an_id_off_the_clock_is_refused_by_name(ledger: PostgresLedger) -> None:
    two_hours = int(timedelta(hours=2).total_seconds() * 1000)
    late = UUID(int=ledger.new_id().int + (two_hours << 80))
    with pytest.raises(UsageError, match=str(late)):
        await ledger.insert([new_job(late)])
