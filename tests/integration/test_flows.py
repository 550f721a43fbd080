"""Flows of an application: graphs, what handlers see of them, who cancels and retries them."""

import asyncio
import json
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest
from typer.testing import CliRunner

from headrace import Context, Dead, Headrace, JobNotFound, State, UnknownFlow, UsageError
from headrace.cli.root import app as program
from headrace.engines.ledgered import LedgeredEngine
from headrace.flow import FlowHandle
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify
from headrace.worker.worker import Worker
from integration.served import MODES, served, until, working


class Sum(msgspec.Struct):
    total: int


@pytest.fixture(params=MODES)
async def anywhere(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:
        yield app


async def burst(app: Headrace) -> None:
    await Worker(app, {"default": 5}).run(burst=True)


async def over(flow: FlowHandle) -> bool:
    return (await flow.refresh()).over


async def test_results_of_many_come_together(anywhere: Headrace) -> None:
    app = anywhere

    @app.task()
    async def part(n: int) -> int:
        return n * n

    @app.task()
    async def add(ctx: Context) -> Sum:
        return Sum(sum(parent.result for parent in await ctx.parents()))

    @app.task()
    async def tell(ctx: Context) -> str:
        (parent,) = await ctx.parents()
        return f"{parent.step}: {parent.result_as(Sum).total}"

    flow = app.flow("squares")
    parts = flow.group(part.job(n) for n in range(20))
    total = flow.add(add.job(), after=parts, name="the sum")
    told = flow.add(tell.job(), after=total)
    handle = await flow.enqueue()
    async with working(app):
        assert await handle[told].result(timeout="20s") == "the sum: 2470"
        await until(lambda: over(handle))
    seen = await handle.refresh()
    assert (seen.name, seen.succeeded, len(seen.steps)) == ("squares", True, 22)


async def test_children_that_are_added_while_it_runs(anywhere: Headrace) -> None:
    app = anywhere
    ran: list[str] = []

    @app.task()
    async def page(n: int) -> int:
        ran.append(f"page {n}")
        return n

    @app.task()
    async def split(ctx: Context, pages: int) -> None:
        await ctx.flow.add(*(page.job(n) for n in range(pages)), name="page")
        if ctx.attempt == 1:
            raise RuntimeError("what it added is undone with it")

    @app.task()
    async def bind(ctx: Context) -> list[int]:
        ran.append("bind")
        return sorted(one.result for one in await ctx.parents() if one.step == "page")

    flow = app.flow()
    first = flow.add(split.job(5))
    last = flow.add(bind.job(), after=first)
    handle = await flow.enqueue()
    async with working(app):
        assert await handle[last].result(timeout="20s") == [0, 1, 2, 3, 4]
    assert sorted(ran) == ["bind", *(f"page {n}" for n in range(5))]
    assert len((await handle.refresh()).steps) == 7


async def test_callbacks_on_success_and_on_complete(app: Headrace) -> None:
    ran: list[str] = []

    @app.task(max_attempts=1)
    async def work(ok: bool) -> None:
        if not ok:
            raise Dead("it cannot be")

    @app.task()
    async def note(what: str) -> None:
        ran.append(what)

    for ok in (True, False):
        flow = app.flow()
        one, two = flow.group([work.job(True), work.job(ok)])
        flow.chain(work.job(True), work.job(True), after=[one, two])
        success = flow.on_success(note.job(f"success {ok}"))
        complete = flow.on_complete(note.job(f"complete {ok}"))
        handle = await flow.enqueue()
        await burst(app)
        assert (await handle[complete].refresh()).state is State.COMPLETED
        ends = State.COMPLETED if ok else State.CANCELLED
        assert (await handle[success].refresh()).state is ends
    assert sorted(ran) == ["complete False", "complete True", "success True"]


async def test_a_flow_commits_with_the_caller_or_never_existed(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task()
    async def work() -> None: ...

    flow = app.flow()
    flow.chain(work.job(), work.job())
    undone = sql.transaction()
    await undone.start()
    handle = await flow.enqueue(tx=sql)
    await undone.rollback()
    with pytest.raises(UnknownFlow, match=str(handle.id)):
        await handle.refresh()
    assert await sql.fetchval("SELECT count(*) FROM headrace.edge") == 0
    async with sql.transaction():
        handle = await flow.enqueue(tx=sql)
    await burst(app)
    assert (await handle.refresh()).succeeded


async def test_a_step_may_come_after_a_job_of_before(app: Headrace) -> None:
    @app.task()
    async def work() -> None: ...

    early = await work.enqueue()
    flow = app.flow()
    late = flow.add(work.job(), after=early)
    handle = await flow.enqueue()
    assert (await handle[late].refresh()).state is State.BLOCKED
    await burst(app)
    assert (await handle[late].refresh()).state is State.COMPLETED


def test_a_circle_is_refused_and_told() -> None:
    app = Headrace("tests")

    @app.task()
    async def work() -> None: ...

    flow = app.flow("nightly")
    build = flow.add(work.job(), name="build")
    test = flow.add(work.job(), after=build, name="test")
    ship = flow.add(work.job(), after=test, name="ship")
    build.after(ship)
    words = 'flow "nightly" goes round in a circle: build -> test -> ship -> build; take one'
    with pytest.raises(UsageError, match=words):
        asyncio.run(flow.enqueue())


def test_what_a_flow_cannot_be() -> None:
    app = Headrace("tests")

    @app.task()
    async def work(n: int = 0) -> None: ...

    flow = app.flow()
    for words, wrong in (
        ("the flow is empty", lambda: asyncio.run(flow.enqueue())),
        ("a flow takes what task.job", lambda: flow.add(work)),  # type: ignore[arg-type] # that is wrong
        ("on_failure='stop' is unknown", lambda: flow.add(work.job(), on_failure="stop")),  # type: ignore[arg-type] # as above
        ("a step comes after", lambda: flow.add(work.job(), after="build")),  # type: ignore[arg-type] # as above
        ("flow.chain() has no jobs", flow.chain),
        ("is unique", lambda: flow.add(work.options(idempotency_key="k").job())),
    ):
        with pytest.raises(UsageError, match=words.replace("(", r"\(").replace(")", r"\)")):
            wrong()
    other = app.flow().add(work.job(), name="elsewhere")
    flow.add(work.job(), after=other)
    with pytest.raises(UsageError, match='"elsewhere", which is of another flow'):
        asyncio.run(flow.enqueue())


async def test_a_job_that_others_wait_for_has_no_key(app: Headrace) -> None:
    @app.task()
    async def work() -> None: ...

    @app.task(max_attempts=1)
    async def split(ctx: Context) -> None:
        await ctx.flow.add(work.options(order_key="k").job())

    job = await split.enqueue()
    await burst(app)
    error = (await job.refresh()).error
    assert error is not None
    assert "has an ordering key" in str(error["message"])


async def test_it_is_cancelled_and_retried_by_command(
    app: Headrace, migrated_url: str, sql: asyncpg.Connection
) -> None:
    broken = True

    @app.task(max_attempts=1)
    async def work(n: int) -> int:
        if broken and n == 1:
            raise Dead("no paper")
        return n

    flow = app.flow("print")
    parts = flow.group(work.job(n) for n in range(3))
    flow.add(work.job(9), after=parts, name="bind")
    handle = await flow.enqueue()
    await burst(app)

    async def run(*words: str) -> dict[str, object]:
        given = ["flows", *words, "--database-url", migrated_url, "--json"]
        shown = await asyncio.to_thread(CliRunner().invoke, program, given)
        assert shown.exit_code == 0, shown.output
        document: dict[str, object] = json.loads(shown.stdout)
        return document

    listed = await run("list")
    counts = {"live": 0, "blocked": 0, "completed": 2, "dead": 1, "cancelled": 1}
    assert listed == {"flows": [{"id": str(handle.id), "name": "print", **counts}]}
    broken = False
    assert await run("retry", str(handle.id)) == {"flow": str(handle.id), "retried": 2}
    assert await run("cancel", str(handle.id)) == {"flow": str(handle.id), "counts": {"done": 2}}
    assert (await handle.refresh()).over
    assert await run("retry", str(handle.id)) == {"flow": str(handle.id), "retried": 2}
    await burst(app)
    shown = await run("show", str(handle.id))
    steps = shown["steps"]
    assert isinstance(steps, list)
    assert [one["state"] for one in steps] == ["completed"] * 4
    assert len(steps[3]["after"]) == 3
    table = await asyncio.to_thread(
        CliRunner().invoke,
        program,
        ["flows", "show", str(handle.id), "--database-url", migrated_url],
    )
    assert "bind" in table.stdout
    assert not await sql.fetchval("SELECT EXISTS (SELECT FROM headrace.wake)")


async def test_a_flow_that_is_not_there(app: Headrace) -> None:
    @app.task()
    async def work() -> None: ...

    job = await work.enqueue()
    for wrong in (app.flow_handle(job.id).refresh, app.flow_handle(job.id).retry):
        with pytest.raises(UnknownFlow, match="there is no flow"):
            await wrong()
    with pytest.raises(JobNotFound):
        await app.get(app.engine.new_id())


async def test_thousands_of_children_and_workers_that_end_them_at_once(
    app: Headrace, sql: asyncpg.Connection, migrated_url: str
) -> None:
    """All wait for one, and some for all of these: no end waits for another."""
    n = 3000

    async def nothing() -> None: ...

    work = app.task(name="work")(nothing)
    flow = app.flow()
    root = flow.add(work.job())
    leaves = flow.group((work.job() for _ in range(n)), after=root)
    joins = flow.group((work.job() for _ in range(3)), after=leaves)
    handle = await flow.enqueue()
    others = [Headrace(f"tests-{k}", database_url=migrated_url) for k in range(2)]
    for other in others:
        other.task(name="work")(nothing)
    async with others[0], others[1]:
        await asyncio.gather(*(burst(one) for one in (app, *others)))
    assert isinstance(app.engine, LedgeredEngine)
    assert (await handle.refresh()).succeeded
    ids = [handle[join].id for join in joins]
    gens = await sql.fetch("SELECT gen FROM headrace.job WHERE id = ANY ($1)", ids)
    assert [row["gen"] for row in gens] == [3, 3, 3], "let go once, then claimed"
    stats = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await sql.fetchval(stats) == 0
    async with Queries(migrated_url) as queries:
        verdicts = await verify(queries, quiesced=True, repair=False)
    assert [one for one in verdicts if one.breaches] == []


async def test_thousands_are_cancelled_retried_and_fail_with_one(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    """More than one look takes, all of which are over as soon as the first one is."""
    n = 2500

    @app.task()
    async def work() -> None: ...

    flow = app.flow()
    root = flow.add(work.job())
    flow.add(work.job(), after=flow.group((work.job() for _ in range(n)), after=root))
    handle = await flow.enqueue()
    assert isinstance(app.engine, LedgeredEngine)
    assert await handle.cancel() == n + 2
    await app.engine.unblock()
    assert await handle.retry() == n + 2
    await app.engine.unblock()
    assert (await handle.refresh()).counts == {State.AVAILABLE: 1, State.BLOCKED: n + 1}
    assert await handle[root].cancel()
    await app.engine.unblock()
    assert (await handle.refresh()).counts == {State.CANCELLED: n + 2}
    left = "SELECT (SELECT count(*) FROM headrace.wake) + (SELECT count(*) FROM headrace.blocked)"
    assert await sql.fetchval(left) == 0
