"""Concurrent callers share commits, and a bad job among them fails alone."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import asyncpg
import pytest

from headrace import Headrace, LedgerUnavailable, OutcomeUnknown, UnknownQueue, UsageError
from headrace.engines.group_commit import GroupCommit
from headrace.engines.ledgered import LedgeredEngine
from headrace.errors import LedgerError, LedgerFull
from headrace.ledger.postgres import PostgresLedger
from headrace.model.job import Inserted, NewJob
from integration.ledgers import new_job, stored


async def commits_of_jobs(sql: asyncpg.Connection) -> int:
    """Each job row bears the number of the transaction that inserted it."""
    count: int = await sql.fetchval("SELECT count(DISTINCT xid) FROM headrace.job")
    return count


async def test_a_hundred_callers_need_few_commits(app: Headrace, sql: asyncpg.Connection) -> None:
    @app.task()
    async def plain(number: int) -> None: ...

    jobs = await asyncio.gather(*(plain.enqueue(number) for number in range(100)))
    assert len({job.id for job in jobs}) == await stored(sql) == 100
    assert await commits_of_jobs(sql) <= 20


async def test_a_bad_job_in_a_batch_fails_alone(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    engine = LedgeredEngine(ledger)
    callers = [[new_job(ledger)] for _ in range(60)]
    callers[7] = [new_job(ledger), new_job(ledger, payload=b'{"a":"\\u0000"}')]
    callers[20] = [new_job(ledger, id=uuid4())]
    callers[41] = [new_job(ledger, queue="nowhere")]
    answers = await asyncio.gather(*map(engine.insert, callers), return_exceptions=True)
    failed = {place: type(one) for place, one in enumerate(answers) if isinstance(one, Exception)}
    assert failed == {7: LedgerError, 20: UsageError, 41: UnknownQueue}
    assert await stored(sql) == 57


async def test_a_cancelled_caller_takes_nobody_along(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task()
    async def plain(number: int) -> None: ...

    callers = [asyncio.create_task(plain.enqueue(number)) for number in range(50)]
    await asyncio.sleep(0)
    callers[10].cancel()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert [place for place, one in enumerate(answers) if isinstance(one, BaseException)] == [10]
    assert await stored(sql) in (49, 50)


@pytest.mark.parametrize("n", [1, 1_000, 3_000])
async def test_a_call_with_many_jobs_is_one_commit(
    app: Headrace, sql: asyncpg.Connection, n: int
) -> None:
    @app.task()
    async def plain(number: int) -> None: ...

    await app.enqueue_many([plain.job(number) for number in range(n)])
    assert (await stored(sql), await commits_of_jobs(sql)) == (n, 1)


async def test_a_defect_in_one_half_answers_the_other(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    engine = LedgeredEngine(ledger)
    callers = [[new_job(ledger)] for _ in range(8)]
    callers[0] = [new_job(ledger, payload=b"\xff")]  # what no payload of ours is
    callers[7] = [new_job(ledger, queue="nowhere")]
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*map(engine.insert, callers), return_exceptions=True)
    assert [type(answers[place]) for place in (0, 7)] == [UnicodeDecodeError, UnknownQueue]
    assert [isinstance(one, list) for one in answers[4:7]] == [True] * 3
    assert await stored(sql) == 3


@pytest.mark.parametrize(
    ("told", "raised"),
    [
        ([LedgerFull("full")], LedgerFull),
        ([LedgerUnavailable("the reply was lost"), LedgerFull("full")], OutcomeUnknown),
    ],
    ids=["at once", "after a lost reply"],
)
async def test_a_full_disk_is_told_for_itself_unless_something_may_be_there(
    told: list[LedgerUnavailable],
    raised: type[LedgerError],
    ledger: PostgresLedger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headrace.engines.group_commit._PATIENCE", 0.2)
    answers = iter(told)

    async def insert(_jobs: Sequence[NewJob]) -> list[Inserted]:
        raise next(answers, told[-1])

    with pytest.raises(raised):
        await GroupCommit(insert).insert([new_job(ledger)])
