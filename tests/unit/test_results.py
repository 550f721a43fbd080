"""Who waits for results: one question for all, and a poke that is heard at once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest

from headrace import Job, LedgerUnavailable, SchemaError, State, results
from headrace.results import Results


def completed(job_id: UUID) -> Job:
    now = datetime.now(UTC)
    return Job(
        id=job_id, task="t", queue="q", state=State.COMPLETED, priority=5, gen=2, attempt=1,
        failures=0, crashes=0, snoozes=0, max_attempts=3, created_at=now, run_at=now,
        started_at=now, settled_at=now, tenant="", payload=msgspec.Raw(b"{}"), result=None,
        error=None,
    )  # fmt: skip


class Record:
    """Answers with the jobs that are over, and remembers what was asked."""

    def __init__(self) -> None:
        self.over: set[UUID] = set()
        self.errors: list[Exception] = []
        self.asked: list[set[UUID]] = []
        self.was_asked = asyncio.Event()

    async def outcomes(self, ids: Sequence[UUID]) -> list[Job]:
        self.asked.append(set(ids))
        self.was_asked.set()
        if self.errors:
            raise self.errors.pop(0)
        return [completed(job_id) for job_id in ids if job_id in self.over]


async def test_waiters_share_questions() -> None:
    record, ids = Record(), [uuid4() for _ in range(50)]
    record.over = set(ids)
    watcher = Results(record.outcomes)
    jobs = await asyncio.gather(*(watcher.wait(one, 30) for one in [*ids, *ids]))
    assert [job and job.id for job in jobs] == [*ids, *ids]
    assert record.asked == [set(ids)]


async def test_a_poke_is_heard_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_SHORTEST", 3600.0)
    record, mine, other = Record(), uuid4(), uuid4()
    watcher = Results(record.outcomes)
    waiting = asyncio.create_task(watcher.wait(mine, 30))
    await record.was_asked.wait()
    record.over = {mine}
    watcher.poke([other])
    watcher.poke([mine])
    job = await waiting
    assert job is not None
    assert job.id == mine
    assert len(record.asked) == 2
    await watcher.close()


async def test_a_ledger_that_is_away_is_asked_again() -> None:
    record, mine = Record(), uuid4()
    record.over, record.errors = {mine}, [LedgerUnavailable("away"), LedgerUnavailable("away")]
    assert await Results(record.outcomes).wait(mine, 30) is not None
    assert len(record.asked) == 3


async def test_what_waiting_cannot_mend_is_told() -> None:
    record, mine = Record(), uuid4()
    record.errors = [SchemaError("gone")]
    with pytest.raises(SchemaError, match="gone"):
        await Results(record.outcomes).wait(mine, 30)


async def test_time_that_is_up_leaves_nothing_behind() -> None:
    record, mine = Record(), uuid4()
    watcher = Results(record.outcomes)
    assert await watcher.wait(mine, 0) is None
    record.over = {mine}
    assert await watcher.wait(mine, 30) is not None
    await watcher.close()
