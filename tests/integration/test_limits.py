"""Rate limits: never exceeded, deferring without an attempt, and never spinning."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import asyncpg
import msgspec
import pytest

from headrace import Context, Headrace, RateLimit, State
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.queries import Queries
from headrace.ledger.rows import Row
from headrace.model.job import Delivery
from headrace.model.rate import Ask, Use
from integration.ledgers import new_job
from integration.served import MODES, served, until, working


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:
        yield app


async def test_no_more_jobs_start_than_the_limit_allows(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    """Five a day: the other three wait for tomorrow, without an attempt, and others pass them."""
    ran: list[int] = []

    @app.task(limits=[RateLimit("daily", "5/day", "1000/s")])
    async def limited(n: int) -> None:
        ran.append(n)

    @app.task()
    async def free() -> str:
        return "passed"

    jobs = await app.enqueue_many([limited.job(n) for n in range(8)])
    other = await free.enqueue()
    async with working(app):
        assert await other.result(timeout="10s") == "passed"
        await until(lambda: len(ran) == 5)
        await until(lambda: put_off(sql, 3))
    for job in jobs:
        await job.refresh()
    waiting = [job for job in jobs if job.state is not State.COMPLETED]
    shown = [job.job for job in waiting if job.job is not None]
    assert [(one.state, one.attempt, one.snoozes) for one in shown] == [(State.SCHEDULED, 0, 0)] * 3
    assert len(ran) == 5


async def put_off(sql: asyncpg.Connection, n: int) -> bool:
    count = await sql.fetchval(
        "SELECT count(*) FROM headrace.job WHERE headers -> 'limits' ? 'waited' AND state = 0"
    )
    return bool(count == n)


async def test_what_was_put_off_runs_when_its_turn_comes(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task(limits=[RateLimit("brisk", "3/s")])
    async def limited() -> None: ...

    jobs = await app.enqueue_many([limited.job() for _ in range(5)])
    async with working(app):
        for job in jobs:
            await job.result(timeout="20s")
    assert not await sql.fetch("SELECT FROM headrace.job WHERE failures + crashes + snoozes > 0")


async def test_an_outside_service_that_wants_less_is_heard_by_all(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    """The limit rests for that key; others go on."""
    runs: list[str] = []

    @app.task(limits=[RateLimit("service", "1000/s", key="{org}")])
    async def call(ctx: Context, org: str = "home") -> None:
        runs.append(org)
        if org == "busy":
            ctx.rate_limited(after="1h")

    async with working(app):
        await call.enqueue("busy")
        await until(lambda: runs == ["busy"])
        second = await call.enqueue("busy")
        await until(lambda: put_off(sql, 1))
        await (await call.enqueue()).result(timeout="10s")
    assert runs == ["busy", "home"]
    (job,) = await app.get_many([second.id])
    assert (job.state, job.snoozes) == (State.SCHEDULED, 0)


async def test_ten_thousand_that_wait_cost_nothing(
    app: Headrace, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One start a second: each job is put off once, and then only those whose turn it is ask."""
    calls: Counter[str] = Counter()
    asked = 0
    fetch = Queries.fetch
    ran: list[int] = []

    async def counting(self: Queries, name: str, *parameters: object) -> Sequence[Row]:
        nonlocal asked
        calls[name] += 1
        if name == "admit":
            asked += len(msgspec.json.decode(str(parameters[0])))
        return await fetch(self, name, *parameters)

    monkeypatch.setattr(Queries, "fetch", counting)

    @app.task(limits=[RateLimit("slow", "1/s")])
    async def limited(n: int) -> None:
        ran.append(n)

    await app.enqueue_many([limited.job(n) for n in range(10_000)])
    async with working(app, concurrency=200):
        await until(lambda: put_off_all_but(sql, ran), seconds=60)
        calls.clear()
        before = len(ran)
        await until(lambda: len(ran) >= before + 3, seconds=30)
        assert calls["admit"] <= 2 * (len(ran) - before) + 2
    assert asked <= 10_000 + 2 * len(ran)


async def put_off_all_but(sql: asyncpg.Connection, ran: list[int]) -> bool:
    return await put_off(sql, 10_000 - len(ran))


PLAY = """
CREATE FUNCTION pg_temp.play(steps bigint[], weights int[], span bigint, most int) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    log   headrace.rate_log := ROW('{}', '{}', '{}');
    now   bigint := 1000000;
    start bigint;
    out   bigint[] := '{}';
BEGIN
    FOR i IN 1..cardinality(steps) LOOP
        now := now + steps[i];
        start := headrace.rate_instant(log, span, most - weights[i], now);
        log := headrace.rate_mark(log, span, start, weights[i]);
        now := greatest(now, start);
        out := out || start;
    END LOOP;
    RETURN out || cardinality(log.lasts)::bigint;
END $$
"""


async def test_no_window_of_a_log_holds_more(migrated_url: str) -> None:
    """Whatever comes when: judged by all starts, where the log keeps some 65 marks."""
    connection = await asyncpg.connect(migrated_url)
    await connection.execute(PLAY)
    dice = random.Random(7)
    for _ in range(60):
        most, span = dice.choice([1, 2, 5, 50, 400]), dice.choice([100_000, 1_000_000, 60_000_000])
        steps = [dice.choice([0, 1, span // most, span // 100]) for _ in range(300)]
        weights = [dice.randint(1, min(most, 3)) for _ in steps]
        *starts, marks = await connection.fetchval(
            "SELECT pg_temp.play($1, $2, $3, $4)", steps, weights, span, most
        )
        assert marks <= 66
        for at, start in enumerate(starts):
            inside = [
                w for s, w in zip(starts[: at + 1], weights, strict=False) if s > start - span
            ]
            assert sum(inside) <= most
    await connection.close()


AUDIT = """
CREATE TABLE public.marks (at bigint, n int);
CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.log IS DISTINCT FROM OLD.log THEN
        INSERT INTO public.marks SELECT (NEW.log).lasts[cardinality((NEW.log).lasts)], 1;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER note AFTER UPDATE ON headrace.rate_window FOR EACH ROW EXECUTE FUNCTION public.note()
"""


async def test_many_who_ask_at_once_break_no_window(
    ledger: PostgresLedger, sql: asyncpg.Connection
) -> None:
    """Each call one job, so that each start leaves a mark that a trigger keeps."""
    await sql.execute(AUDIT)
    await ledger.limiter.declare([RateLimit("shared", "20/s")])
    admitted = 0

    async def ask() -> None:
        nonlocal admitted
        for _ in range(40):
            job = new_job(ledger)
            delivery = Delivery(
                id=job.id,
                gen=1,
                queue="q",
                task="t",
                payload=b"{}",
                priority=5,
                failures=0,
                crashes=0,
                max_attempts=1,
            )
            use = Ask(delivery, (Use("shared", "", 1),))
            (answer,) = await ledger.limiter.admit([use])
            admitted += not answer.put_off

    await asyncio.gather(*(ask() for _ in range(8)))
    marks = [row["at"] for row in await sql.fetch("SELECT at FROM marks ORDER BY at")]
    assert len(marks) == admitted > 0
    assert all(sum(1 for m in marks if end - 1_000_000 < m <= end) <= 20 for end in marks)
