"""Unique jobs of an application: what makes them the same, a storm of producers, upkeep, verify."""

import asyncio
import json
import sys

import asyncpg
import pytest

from headrace import DuplicateJob, Headrace, Unique, UsageError
from headrace.ledger.queries import Queries
from headrace.ledger.retention import LedgerKeeper
from headrace.ledger.verify import verify
from integration.ledgers import stored
from jobsmith import Jobsmith

PROCESSES, CALLERS = 4, 50
PRODUCER = f"""
import asyncio, json, sys
from headrace import Headrace, Unique

async def main():
    app = Headrace("storm")
    until, on_conflict = sys.argv[1:]

    @app.task(queue="work", unique=Unique(by=["customer"], until=until, on_conflict=on_conflict))
    async def bill(customer: int, at: int) -> None: ...

    async with app:
        print("ready", flush=True)
        sys.stdin.readline()
        jobs = await asyncio.gather(*(bill.enqueue(7, n) for n in range({CALLERS})))
        print(json.dumps([[str(job.id), job.duplicate] for job in jobs]), flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("until", "on_conflict"), [("done", "return"), ("started", "ignore"), ("queued", "replace")]
)
async def test_two_hundred_producers_of_one_key_have_one_job(
    migrated_url: str, sql: asyncpg.Connection, until: str, on_conflict: str
) -> None:
    producers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PRODUCER, until, on_conflict),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"HEADRACE_DATABASE_URL": migrated_url},
        )
        for _ in range(PROCESSES)
    ]
    for one in producers:
        assert one.stdout is not None
        assert await one.stdout.readline() == b"ready\n"
    told = await asyncio.gather(*(one.communicate(b"\n") for one in producers))
    answers = [answer for out, _ in told for answer in json.loads(out)]
    assert len(answers) == PROCESSES * CALLERS
    assert await stored(sql) == len({job_id for job_id, _ in answers}) == 1
    assert [duplicate for _, duplicate in answers].count(False) == 1


async def test_what_is_left_out_is_the_same_as_its_default(app: Headrace) -> None:
    @app.task(unique=Unique(by=["region"]))
    async def report(day: int, region: str = "north") -> None: ...

    @app.task(unique=Unique())
    async def tidy(depth: int = 3) -> None: ...

    assert not (await report.enqueue(1)).duplicate
    assert (await report.enqueue(2, "north")).duplicate
    assert not (await report.enqueue(2, "south")).duplicate
    assert not (await tidy.enqueue()).duplicate
    assert (await tidy.enqueue(3)).duplicate


async def test_options_override_what_the_task_says(app: Headrace) -> None:
    @app.task(unique=Unique())
    async def tidy() -> None: ...

    first = await tidy.enqueue()
    assert not (await tidy.options(unique=None).enqueue()).duplicate
    assert not (await tidy.options(idempotency_key="k").enqueue()).duplicate
    assert not (await tidy.options(tenant="acme").enqueue()).duplicate
    with pytest.raises(DuplicateJob, match=f'job {first.id} has the unique key .* is "done"'):
        await tidy.options(unique=Unique(on_conflict="raise")).enqueue()


def test_an_argument_that_the_task_does_not_take() -> None:
    app = Headrace("tests")
    wrong = r'task "tidy" has no argument "dept" to be unique by; it takes \(depth\)'
    with pytest.raises(UsageError, match=wrong):

        @app.task(name="tidy", unique=Unique(by=["dept"]))
        async def broken(depth: int) -> None: ...

    @app.task()
    async def tidy(depth: int) -> None: ...

    with pytest.raises(UsageError, match=wrong):
        tidy.options(unique=Unique(by=["dept"]))


async def test_callers_with_keys_in_any_order_do_not_deadlock(app: Headrace) -> None:
    @app.task()
    async def tidy(depth: int) -> None: ...

    jobs = [
        tidy.options(unique=Unique(by=["depth"], until="started", on_conflict="replace")).job(n)
        for n in range(20)
    ]
    calls = [jobs[n:] + jobs[:n] for n in range(20)]
    answers = await asyncio.gather(*(app.enqueue_many(call) for call in calls))
    assert len({job.id for answer in answers for job in answer}) == 20


EARLIER = """
UPDATE headrace.idempotency SET job_id = headrace.uuid_floor(now() - interval '2 days');
"""


async def test_keys_of_jobs_that_are_over_are_pruned_after_a_day(
    smith: Jobsmith, queries: Queries, sql: asyncpg.Connection
) -> None:
    job = smith.job(unique=Unique(key="k"))
    await smith.ledger.insert([job])
    keeper = LedgerKeeper(queries)
    await sql.execute("UPDATE headrace.job SET state = 4, settled_at = now()")
    assert await keeper.prune_keys() == 0, "a key of today may be taken by somebody this moment"
    await sql.execute(EARLIER)
    assert await keeper.prune_keys() == 1
    assert await sql.fetchval("SELECT count(*) FROM headrace.idempotency") == 0


async def test_the_key_of_a_job_that_waits_for_days_stays(
    smith: Jobsmith, queries: Queries, sql: asyncpg.Connection
) -> None:
    await smith.ledger.insert([smith.job(unique=Unique(key="k"))])
    await sql.execute(EARLIER)
    await sql.execute("UPDATE headrace.job SET id = (SELECT job_id FROM headrace.idempotency)")
    assert await LedgerKeeper(queries).prune_keys() == 0
    again = smith.job(unique=Unique(key="k"))
    ((answer,),) = [await smith.ledger.insert([again])]
    assert answer.duplicate


async def test_two_jobs_of_one_key_are_found(
    smith: Jobsmith, queries: Queries, sql: asyncpg.Connection
) -> None:
    first, second = smith.job(unique=Unique(key="k")), smith.job(unique=Unique(key="k"))
    await smith.ledger.insert([first])
    assert await breaches(queries) == []
    await sql.execute("UPDATE headrace.job SET state = 4, settled_at = now()")
    await smith.ledger.insert([second])
    assert await breaches(queries) == []
    await sql.execute("UPDATE headrace.job SET state = 0, settled_at = NULL")
    (found,) = await breaches(queries)
    assert found == (str(first.id), f"it is unique until it is done, but its key names {second.id}")


async def test_a_replayed_job_may_be_another_of_its_key(
    smith: Jobsmith, queries: Queries, sql: asyncpg.Connection
) -> None:
    first, second = smith.job(unique=Unique(key="k")), smith.job(unique=Unique(key="k"))
    await smith.ledger.insert([first])
    await sql.execute("UPDATE headrace.job SET state = 3, settled_at = now()")
    await smith.ledger.insert([second])
    await smith.ledger.inspector.replay([first.id], "ann")
    assert await breaches(queries) == []


async def breaches(queries: Queries) -> list[tuple[str, str]]:
    verdicts = await verify(queries, quiesced=False, repair=False)
    found = {verdict.check.name: verdict.breaches for verdict in verdicts}
    return [(one.subject, one.detail) for one in found["unique"]]
