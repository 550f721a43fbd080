"""What runs for every job, or again and again, reads as little of a long backlog as of a short one.

Counted in pages, after each statement was run so often that its plan is a cached one.
"""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from headrace.ledger.cursor import Cursor
from headrace.ledger.pool import open_pool
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.rows import settle_columns
from headrace.ledger.statements import statement
from headrace.model.job import Settlement
from headrace.model.priority import LEVELS, STRIDES, Shares
from headrace.model.rate import RateLimit
from headrace.model.state import Stored
from headrace.model.stream import LIFE
from headrace.ports.lane import LEASE

SHORT, LONG = 500, 20_000
RUNS = 7
FILL = """
INSERT INTO headrace.job (id, queue_id, task, priority, max_attempts, run_at, payload, pushed,
                          owner, claim_no, state, settled_at)
SELECT headrace.uuid7(), q.id, 'work', 5, 3, now(), '{}', n % 2 = 0,
       CASE WHEN $3 THEN w.id END, CASE WHEN $3 THEN 1 END,
       $2::int, CASE WHEN $2::int > 0 THEN now() END
FROM generate_series(1, $1::int) AS n, headrace.queue q, headrace.worker w
WHERE q.name = 'q'
"""
STREAMS = """
WITH streams AS (
    INSERT INTO headrace.stream (name, last, gone)
    SELECT 'users:' || n, 1, 0 FROM generate_series(1, $1::int) AS n
    ON CONFLICT DO NOTHING
    RETURNING name
)
INSERT INTO headrace.stream_event (stream, id, kind, at, data)
SELECT name, 1, 'number', now(), '1' FROM streams
"""
KEYS = """
INSERT INTO headrace.idempotency (key, job_id, until, mode)
SELECT sha256(j.id::text::bytea), j.id, 'infinity', 'done' FROM headrace.job j
ON CONFLICT DO NOTHING
"""
BURY = """
INSERT INTO headrace.worker (id, host, pid, queues, reaped_at)
SELECT gen_random_uuid(), 'gone', 1, '[]', now() FROM generate_series(1, $1::int)
"""
TOLD = '{"attempt": 1, "dropped": 0, "log": [[0, "a line"]], "progress": [0, 0.5, "half"]}'
Parameters = Callable[["Ledger"], tuple[Any, ...]]


class Ledger:
    """A ledger with one queue and one worker, and the pages that statements read of it."""

    def __init__(self, sql: "asyncpg.Connection[asyncpg.Record]", worker: UUID) -> None:
        self._sql = sql
        self.worker = worker
        self.queue = 0
        self.snapshot = ""
        self.jobs: list[UUID] = []

    async def fill(self, n: int, *, state: int = 0, owned: bool = False) -> None:
        await self._sql.execute(FILL, n, state, owned)
        await self._sql.execute(KEYS)
        await self._sql.execute(STREAMS, n)

    async def bury(self, n: int) -> None:
        await self._sql.execute(BURY, n)

    async def look(self, n: int = 20) -> None:
        # From all over the table: the first ones would be found soon by any plan.
        self.queue = await self._sql.fetchval("SELECT id FROM headrace.queue WHERE name = 'q'")
        self.snapshot = await self._sql.fetchval("SELECT pg_current_snapshot()::text")
        query = "SELECT id FROM headrace.job ORDER BY md5(id::text) LIMIT $1"
        rows = await self._sql.fetch(query, n)
        self.jobs = [row["id"] for row in rows]

    async def pages(self, name: str, parameters: tuple[Any, ...]) -> int:
        """Read or written by one run; all is undone."""
        top = await self._run(name, parameters)
        pages: int = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
        return pages

    async def rows(self, name: str, parameters: tuple[Any, ...]) -> float:
        """That pass through all parts of the plan in one run, thrown away or not."""
        return passing(await self._run(name, parameters))

    async def _run(self, name: str, parameters: tuple[Any, ...]) -> dict[str, Any]:
        """The plan of one run, as it went."""
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement(name)}"
        for text in [*[statement(name)] * RUNS, explain]:
            undone = self._sql.transaction()
            await undone.start()
            try:
                rows = await self._sql.fetch(text, *parameters)
            finally:
                await undone.rollback()
        (plan,) = json.loads(rows[0][0])
        top: dict[str, Any] = plan["Plan"]
        return top


def passing(plan: dict[str, Any]) -> float:
    """Rows through a plan and the plans below it."""
    thrown = sum(n for name, n in plan.items() if name.startswith("Rows Removed"))
    below = sum(passing(one) for one in plan.get("Plans", ()))
    here: float = (plan["Actual Rows"] + thrown) * plan["Actual Loops"]
    return here + below


def claim(ledger: Ledger) -> tuple[Any, ...]:
    shares = (list(LEVELS), Shares().passes(), STRIDES)
    return (ledger.queue, 20, ledger.worker, 2, *shares, *Cursor().positions(), True)


def attempts(ledger: Ledger) -> tuple[list[UUID], list[int]]:
    return ledger.jobs, [1] * len(ledger.jobs)


def completions(ledger: Ledger) -> tuple[Any, ...]:
    n = len(ledger.jobs)
    return (ledger.worker, *attempts(ledger), [0.1] * n, [None] * n, False)


def admit(ledger: Ledger) -> tuple[Any, ...]:
    """One starts, the others are put off."""
    ask = {"gen": 1, "urgent": False, "waited": False, "limits": [["daily", "", 1]]}
    return json.dumps([{"id": str(one), **ask} for one in ledger.jobs]), 0


STATEMENTS: dict[str, Parameters] = {
    "claim": claim,
    "settle_completed": completions,
    "settle": lambda ledger: (
        ledger.worker,
        *settle_columns(
            [Settlement(id=one, gen=1, state=Stored.LIVE, failed=True) for one in ledger.jobs]
        ),
        False,
    ),
    "settled_before": lambda ledger: (ledger.worker, *attempts(ledger)),
    "forfeit": lambda ledger: (ledger.worker, *attempts(ledger), "{}"),
    "adopt": lambda ledger: (1, ledger.worker, *attempts(ledger), [1] * len(ledger.jobs)),
    "bump": lambda ledger: (
        1,
        *attempts(ledger),
        [ledger.worker] * len(ledger.jobs),
        [1] * len(ledger.jobs),
        "{}",
    ),
    "misfits": attempts,
    "missing": lambda ledger: (ledger.jobs,),
    "release": lambda ledger: (ledger.worker, *attempts(ledger)),
    "extend": attempts,
    "tell": lambda ledger: (*attempts(ledger), [TOLD] * len(ledger.jobs)),
    "stale": lambda ledger: (
        *attempts(ledger),
        *(None, None, None),
        min(ledger.jobs),
        max(ledger.jobs),
    ),
    "claim_known": lambda ledger: (ledger.worker, 2, *attempts(ledger), "q"),
    "beat": lambda ledger: (ledger.worker, [], [], 0, None, 0),
    "reap": lambda _: (100, "{}", "{}"),
    "cancellations": lambda _: (100,),
    "due": lambda ledger: ([ledger.queue], True),
    "waiting_levels": lambda _: (30.0,),
    "sweep": lambda ledger: (ledger.snapshot, 30.0, 2000),
    "sweep_pushed": lambda ledger: (ledger.snapshot, ledger.snapshot, 30.0, 2000),
    "walk": lambda ledger: (ledger.queue, 5, 0, UUID(int=0), 30.0, 20),
    "get": lambda ledger: (ledger.jobs, False),
    "outcomes": lambda ledger: (ledger.jobs,),
    "standing_of": lambda ledger: (ledger.jobs,),
    "counts": lambda _: (),
    "queue_rows": lambda _: (),
    "fleet": lambda _: (),
    "leaders": lambda _: (),
    "due_schedules": lambda _: (100,),
    "unblock": lambda ledger: (ledger.jobs, 1000),
    "prune_lines": lambda _: (),
    "woken": lambda _: (),
    "charge": lambda ledger: (ledger.worker, "q", 1),
    "admit": admit,
    "heard": lambda _: (),
    "put_stream_events": lambda _: ('[{"stream": "users:7", "kind": "number", "data": 1}]',),
    "read_streams": lambda _: ([f"users:{n}" for n in range(1, 21)], [0] * 20, 100),
    "prune_streams": lambda _: (100, LIFE),
    "prune_spent_keys": lambda _: (100,),
}


@pytest.fixture
async def ledger(migrated_url: str) -> AsyncIterator[Ledger]:
    product = PostgresLedger(migrated_url)
    await product.open()
    await product.declare((), ["q"])
    await product.limiter.declare([RateLimit("daily", "1/day")])
    worker = uuid4()
    await product.register(worker, "here", 1, {"q": 1}, LEASE)
    await product.close()
    pool = await open_pool(migrated_url, size=1)
    async with pool.acquire() as sql:
        await sql.execute("SET synchronous_commit = off")
        yield Ledger(sql, worker)  # type: ignore[arg-type] # a connection that a pool lends
    await pool.close()


@pytest.mark.parametrize(
    "kind", [{"state": 0}, {"state": 2}, {"owned": True}], ids=["waiting", "finished", "owned"]
)
async def test_no_statement_reads_more_of_more_jobs(ledger: Ledger, kind: dict[str, Any]) -> None:
    pages: dict[int, dict[str, int]] = {}
    await ledger.fill(50)
    for n in (SHORT, LONG):
        await ledger.fill(n, **kind)
        await ledger.look()
        pages[n] = {name: await ledger.pages(name, of(ledger)) for name, of in STATEMENTS.items()}
    if "owned" in kind:
        del pages[LONG]["beat"]  # of what a worker owns, its beat looks for what it does not name
    grown = {
        name: (pages[SHORT][name], n)
        for name, n in pages[LONG].items()
        if n > pages[SHORT][name] * 1.5 + 100
    }
    assert grown == {}


async def test_a_beat_does_not_compare_each_job_in_hand_with_each_other(ledger: Ledger) -> None:
    """A worker of a thousand queues holds ten thousand jobs."""
    rows: dict[int, float] = {}
    for n in (100, 1_000):
        await ledger.fill(n - len(ledger.jobs), owned=True)
        await ledger.look(n)
        rows[n] = await ledger.rows("beat", (ledger.worker, *attempts(ledger), 2, None, 0))
    assert rows[1_000] < rows[100] * 10 * 1.5


async def test_a_reaper_does_not_look_into_each_worker_that_is_gone(ledger: Ledger) -> None:
    """Bursts leave thousands of them a day."""
    rows: list[float] = []
    await ledger.fill(50, owned=True)
    for gone in (10, 1_000):
        await ledger.bury(gone)
        rows.append(await ledger.rows("reap", (100, "{}", "{}")))
    assert rows[1] <= rows[0] * 1.5
