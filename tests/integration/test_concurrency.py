"""Concurrency limits of an application: what it says, who runs at once, operators, verify."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from headrace import ConcurrencyLimit, Headrace, RateLimit, State, UsageError
from headrace.engines.ledgered import LedgeredEngine
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify
from headrace.relay.unblocker import Unblocker
from headrace.worker.worker import Worker
from integration.served import MODES, served, until, working

KEYS = "SELECT headers -> 'lines' FROM headrace.job ORDER BY id"


class Crowd:
    """Counts who is inside, by key."""

    def __init__(self) -> None:
        self.inside: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.done: Counter[str] = Counter()

    async def visit(self, key: str) -> None:
        self.inside[key] += 1
        self.most[key] = max(self.most[key], self.inside[key])
        await asyncio.sleep(0)  # others begin here, if they may
        await asyncio.sleep(0.001)
        self.inside[key] -= 1
        self.done[key] += 1


@pytest.fixture(params=MODES)
async def served_app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:
        yield app


async def test_no_more_run_at_once_than_the_limit_is_wide(served_app: Headrace) -> None:
    app, crowd = served_app, Crowd()

    @app.task(limits=[ConcurrencyLimit("reports", 2, key="{org}")])
    async def report(org: str, n: int) -> None:
        await crowd.visit(org)
        if n == 7:
            raise ValueError(n)

    @app.task()
    async def free() -> str:
        return "passed"

    first = app.enqueue_many([report.options(max_attempts=1).job("a", n) for n in range(20)])
    second = app.enqueue_many([report.job("b", n) for n in range(6)])
    await asyncio.gather(first, second)
    other = await free.enqueue()
    async with working(app, concurrency=10):
        assert await other.result(timeout="10s") == "passed"
        await until(lambda: crowd.done == {"a": 20, "b": 6})
    assert max(crowd.most.values()) <= 2


async def test_a_burst_ends_with_the_last_of_a_line(
    app: Headrace, queries: Queries, sql: asyncpg.Connection
) -> None:
    crowd = Crowd()
    app.queue("default", limits=[ConcurrencyLimit("all", 7)])

    @app.task(limits=[ConcurrencyLimit("some", 3, key="{org}")], retry="seed-000")
    async def step(org: str = "a") -> None:
        await crowd.visit(org)
        await crowd.visit("all")

    await app.enqueue_many([step.job(org) for _ in range(25) for org in "abcd"])
    await Worker(app, {"default": 20}).run(burst=True)
    assert crowd.done == {"a": 25, "b": 25, "c": 25, "d": 25, "all": 100}
    assert max(crowd.most[org] for org in "abcd") <= 3
    assert crowd.most["all"] <= 7
    assert await found(queries) == set()
    await sql.execute("SELECT headrace.prune_lines()")
    assert await sql.fetchval("SELECT count(*) FROM headrace.line") == 0
    await step.enqueue()
    await Worker(app, {"default": 20}).run(burst=True)
    assert crowd.done["a"] == 26


async def found(queries: Queries) -> set[str]:
    verdicts = await verify(queries, quiesced=True, repair=False)
    return {verdict.check.name for verdict in verdicts if verdict.breaches}


async def test_keys_are_made_where_the_jobs_are_inserted(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task(limits=[ConcurrencyLimit("a", 1, key="{{{org}}}-{n}")])
    async def one(org: str, n: int = 7) -> None: ...

    @app.task(limits=[ConcurrencyLimit("b", 1, key="")])
    async def two() -> None: ...

    app.queue("big", limits=[ConcurrencyLimit("q", 9), ConcurrencyLimit("n", 9, key="{n}")])
    await one.enqueue("x")
    await one.options(queue="big").enqueue("x", 8)
    await two.enqueue()
    await two.options(limit_key="mine", queue="big").enqueue()
    document = json.dumps({"task": "one", "args": {"org": "y" * 300}})
    await sql.execute("SELECT headrace_enqueue($1)", document)
    lines = [json.loads(row[0]) for row in await sql.fetch(KEYS)]
    assert lines[:4] == [
        [["a", "{x}-7"]],
        [["a", "{x}-8"], ["n", "8"], ["q", ""]],
        [["b", ""]],
        [["b", "mine"], ["n", "mine"], ["q", ""]],
    ]
    ((_, long),) = lines[4]
    assert (len(long), long[:5]) == (165, "{yyyy")


async def test_a_queue_is_shared_fairly(served_app: Headrace) -> None:
    """Of each part a window is ready; all run in the end (the order: the conformance suite)."""
    app = served_app
    started: list[str] = []
    app.queue("exports", fair_by="{org}")
    app.queue("mails", fair_by="tenant", weights={"acme": 2})

    @app.task(queue="exports")
    async def export(org: str, n: int) -> None:
        del n
        started.append(org)

    await app.declare()
    await app.enqueue_many(
        [export.job(org, n) for org, most in (("a", 300), ("b", 10)) for n in range(most)]
    )
    assert isinstance(app.engine, LedgeredEngine)
    await app.engine.unblock()
    _, lines = await app.engine.limiter.seats.limit("fair:exports")
    assert [(one.key, one.taken, one.standing) for one in lines] == [("a", 200, 100), ("b", 10, 0)]
    async with working(app):
        await until(lambda: len(started) == 310, seconds=30)
    limits = await app.engine.limiter.seats.limits()
    assert [(one.name, one.width, one.fair) for one in limits] == [
        ("fair:exports", 200, True),
        ("fair:mails", 200, True),
    ]


async def test_what_code_says_no_more_limits_no_more(
    app: Headrace, migrated_url: str, sql: asyncpg.Connection
) -> None:
    @app.task(limits=[ConcurrencyLimit("reports", 1)])
    async def report() -> None: ...

    await report.enqueue()
    async with Headrace("tests", database_url=migrated_url) as later:
        later.task(name="report")(report.fn)
        await later.declare()
    assert (await report.enqueue()).job is None
    assert [row[0] is None for row in await sql.fetch(KEYS)] == [False, True]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ConcurrencyLimit("a", 0), r"width 0 cannot be; .* from 1 to .* \(an operator"),
        (lambda: ConcurrencyLimit("a", True), "width True cannot be"),
        (lambda: ConcurrencyLimit("a b", 1), "'a b'"),
        (lambda: ConcurrencyLimit("a", 1, key="{x.y}"), 'limit "a": key'),
        (lambda: declared(ConcurrencyLimit("a", 1, key="{org}")), 'no argument "org"'),
        (lambda: ConcurrencyLimit("fair:q", 1), "would be the share of a queue"),
        (lambda: shared(fair_by="org"), "fair_by='org' makes no parts"),
        (lambda: shared(fair_by="{x.y}"), "fair_by '{x.y}' is none"),
        (lambda: shared(weights={"a": 1}), "give fair_by as well"),
        (lambda: shared(fair_by="tenant", weights={"a": 0}), "weight 0 of 'a' cannot be"),
        (lambda: shared("{n}", fair_by="tenant"), "shared by one thing and by another"),
        (lambda: declared(ConcurrencyLimit("a", 1), ConcurrencyLimit("a", 1)), "given twice"),
        (lambda: declared(3), "3 is no limit; write RateLimit"),
        (lambda: declared(RateLimit("a", "1/s"), task="two"), "of rates and as one of concurrency"),
        (lambda: declared(ConcurrencyLimit("a", 2), task="two"), "say one of them"),
    ],
)
def test_what_a_limit_cannot_say(make: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()


def shared(*before: str, **said: Any) -> None:
    app = Headrace("tests")
    for one in before:
        app.queue("q", fair_by=one)
    app.queue("q", **said)


def declared(*limits: Any, task: str | None = None) -> None:
    app = Headrace("tests")
    if task is not None:
        declare(app, "one", ConcurrencyLimit("a", 1))
    declare(app, task or "one", *limits)


def declare(app: Headrace, name: str, *limits: Any) -> None:
    @app.task(name=name, limits=limits)
    async def work() -> None: ...


async def test_in_a_transaction_of_ones_own(app: Headrace, sql: asyncpg.Connection) -> None:
    """Who stands in line is let go after the commit, by whoever inserted."""

    @app.task(limits=[ConcurrencyLimit("reports", 1)])
    async def report() -> None: ...

    await app.declare()
    async with sql.transaction():
        job = await report.options(tx=sql).enqueue()

    async def live() -> bool:
        return (await job.refresh()).state is State.AVAILABLE

    assert isinstance(app.engine, LedgeredEngine)
    unblocker = Unblocker(app.engine)
    await unblocker.poll()
    await until(live)


async def test_who_is_not_due_is_let_go_on_time(app: Headrace) -> None:
    """The unblocker comes when the next one is due, rather than a second later."""

    @app.task(limits=[ConcurrencyLimit("reports", 1)])
    async def report() -> None: ...

    job = await report.options(delay="200ms").enqueue()
    assert isinstance(app.engine, LedgeredEngine)
    unblocker = Unblocker(app.engine)
    assert await unblocker.poll() < 0.25

    async def let_go() -> bool:
        await unblocker.poll()
        return (await job.refresh()).state is State.AVAILABLE

    await until(let_go)
    assert await unblocker.poll() == 1.0


@pytest.mark.parametrize(
    ("check", "damage"),
    [
        ("seats", "UPDATE headrace.line SET taken = taken + 1"),
        ("seats", "UPDATE headrace.seat SET phase = 1 WHERE phase = 2"),
        ("seats", "DELETE FROM headrace.seat WHERE phase = 2"),
        (
            "seats",
            (
                "UPDATE headrace.concurrency_limit SET width = 1, "
                "changed_at = now() - interval '1 hour'"
            ),
        ),
        ("standing", "UPDATE headrace.concurrency_limit SET width = 9"),
        ("standing", "INSERT INTO headrace.seat_mark SELECT job_id FROM headrace.seat LIMIT 1"),
        ("blocked", "DELETE FROM headrace.seat WHERE phase = 1"),
    ],
)
async def test_verify_finds_what_is_broken(
    check: str, damage: str, app: Headrace, queries: Queries, sql: asyncpg.Connection
) -> None:
    @app.task(limits=[ConcurrencyLimit("reports", 2)])
    async def report() -> None: ...

    await app.enqueue_many([report.job() for _ in range(4)])
    assert isinstance(app.engine, LedgeredEngine)
    assert await app.engine.due(["default"]), "nobody looks any more"
    assert await found(queries) == set()
    await sql.execute(damage)
    assert check in await found(queries)
