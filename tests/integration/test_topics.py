"""Topics: one event, a job for each subscription, in the publisher's transaction."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import asyncpg
import msgspec
import pytest
from typer.testing import CliRunner

from headrace import (
    BadArguments,
    BadPayload,
    ConfigError,
    Context,
    Dead,
    Headrace,
    State,
    Topic,
    UsageError,
)
from headrace.cli.root import app as program
from headrace.errors import HeadraceError
from integration.served import MODES, served, until, working

PUBLISHER = """
import asyncio, os
from headrace import Headrace

app = Headrace("till", database_url=os.environ["DATABASE"])
paid = app.topic("orders.paid")

async def main():
    async with app:
        print("begins", flush=True)
        for number in range(100_000):
            await asyncio.gather(*(paid.publish({"order": number}) for _ in range(5)))

asyncio.run(main())
"""
TORN = """
    SELECT count(*) FROM (
        SELECT FROM headrace.job GROUP BY headers #>> '{topic,event}' HAVING count(*) <> 3
    ) AS torn
"""


class Paid(msgspec.Struct):
    """An event."""

    order: int
    cents: int = 0


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:
        yield app


def two_subscribers(app: Headrace, heard: list[tuple[str, int]]) -> Topic[Paid]:
    paid = app.topic("orders.paid", Paid)

    @paid.subscribe("mail")
    @app.task(queue="mail")
    async def thank(event: Paid) -> None:
        heard.append(("mail", event.order))

    @paid.subscribe("stock")
    @app.task(queue="stock", max_attempts=1)
    async def take_from_shelf(ctx: Context, event: Paid, *, of: str = "shelf") -> None:
        assert ctx.headers["topic"]["subscription"] == "stock"
        heard.append((of, event.order))
        raise Dead("sold out")

    return paid


async def test_each_subscription_has_a_job_with_a_fate_of_its_own(app: Headrace) -> None:
    heard: list[tuple[str, int]] = []
    paid = two_subscribers(app, heard)
    mail, stock = await paid.publish(Paid(order=7))
    async with working(app):
        await mail.result(timeout="10s")
        await until(lambda: len(heard) == 2)
    await stock.refresh()
    await mail.refresh()
    assert (mail.state, stock.state) == (State.COMPLETED, State.DEAD)
    assert sorted(heard) == [("mail", 7), ("shelf", 7)]


async def test_a_transaction_publishes_for_all_or_for_none(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    paid = two_subscribers(app, [])
    transaction = sql.transaction()
    await transaction.start()
    await paid.publish(Paid(order=1), tx=sql)
    await transaction.rollback()
    assert await sql.fetchval("SELECT count(*) FROM headrace.job") == 0
    async with sql.transaction():
        await paid.publish_many([Paid(order=2), Paid(order=3)], tx=sql)
    assert await sql.fetchval("SELECT count(*) FROM headrace.job") == 4


async def test_events_of_a_key_run_in_order_for_each_subscription(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    heard: list[tuple[str, int]] = []
    running: set[str] = set()
    moves = app.topic("stock.moved", Paid)

    async def hear(name: str, event: Paid) -> None:
        assert name not in running
        running.add(name)
        await asyncio.sleep(0)
        heard.append((name, event.order))
        running.discard(name)

    @moves.subscribe("books")
    @app.task(queue="shared")
    async def write(event: Paid) -> None:
        await hear("books", event)

    @moves.subscribe("shelf", on_dead="skip")
    @app.task(queue="shared", max_attempts=1)
    async def sort(event: Paid) -> None:
        await hear("shelf", event)
        raise ValueError("a dead one is skipped")

    await moves.publish_many([Paid(order=n) for n in range(5)], key="a")
    await moves.publish(Paid(order=5), key="a")
    query = "SELECT headrace_publish('stock.moved', '{\"order\": 6}', 'a')"
    assert len(await sql.fetchval(query)) == 2
    async with working(app):
        await until(lambda: len(heard) == 14, 20.0)
    for name in ("books", "shelf"):
        assert [order for who, order in heard if who == name] == list(range(7))


async def test_raw_sql_publishes_too(app: Headrace, sql: asyncpg.Connection) -> None:
    heard: list[tuple[str, int]] = []
    two_subscribers(app, heard)
    await app.declare()
    query = "SELECT headrace_publish('orders.paid', '{\"order\": 9}')"
    assert len(await sql.fetchval(query)) == 2
    async with working(app):
        await until(lambda: len(heard) == 2)


async def test_a_subscription_stays_while_nobody_runs_it(migrated_url: str) -> None:
    heard: list[tuple[str, int]] = []
    shop = Headrace("shop", database_url=migrated_url)
    two_subscribers(shop, heard)
    async with shop:
        pass
    async with Headrace("till", database_url=migrated_url) as till:
        assert len(await till.topic("orders.paid").publish({"order": 5})) == 2
    async with shop, working(shop):
        await until(lambda: len(heard) == 2)


async def test_a_publisher_that_is_killed_leaves_no_event_half_published(
    migrated_url: str, sql: asyncpg.Connection
) -> None:
    shop = Headrace("shop", database_url=migrated_url)
    paid = two_subscribers(shop, [])
    paid.subscribe("third")(shop.tasks["thank"])
    async with shop:
        pass
    for _ in range(3):
        publisher = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PUBLISHER,
            env={**os.environ, "DATABASE": migrated_url},
            stdout=asyncio.subprocess.PIPE,
        )
        before = await sql.fetchval("SELECT count(*) FROM headrace.job")
        await until(partial(_grew, sql, before + 50))
        publisher.send_signal(signal.SIGKILL)
        await publisher.communicate()
    assert await sql.fetchval(TORN) == 0


async def _grew(sql: asyncpg.Connection, n: int) -> bool:
    return bool(await sql.fetchval("SELECT count(*) >= $1 FROM headrace.job", n))


async def test_verify_finds_an_event_that_came_twice(
    migrated_url: str, sql: asyncpg.Connection
) -> None:
    app = Headrace("shop", database_url=migrated_url)
    paid = two_subscribers(app, [])
    async with app:
        await paid.publish(Paid(order=1))
    runner, url = CliRunner(), ["--database-url", migrated_url]
    clean = await asyncio.to_thread(runner.invoke, program, ["verify", *url])
    assert clean.exit_code == 0
    await sql.execute(
        "UPDATE headrace.job SET headers = (SELECT headers FROM headrace.job ORDER BY id LIMIT 1)"
    )
    refused = await asyncio.to_thread(runner.invoke, program, ["verify", *url])
    assert refused.exit_code == 1
    assert "orders.paid mail" in refused.output


def _takes_two(app: Headrace) -> object:
    @app.task(name="two")
    async def two(a: int, b: int) -> None: ...

    return app.topic("orders.paid").subscribe("two")(two)


def _twice(app: Headrace) -> object:
    two_subscribers(app, [])
    return app.topic("orders.paid").subscribe("mail")(app.tasks["thank"])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (_takes_two, 'task "two" cannot subscribe to topic "orders.paid": .* one argument'),
        (_twice, 'topic "orders.paid" has a subscription "mail" already'),
        (lambda app: app.topic("no topic"), "topic name 'no topic' is not allowed"),
        (lambda app: app.topic("t").subscribe("no name"), "subscription name 'no name' is not"),
        (lambda app: app.topic("t").subscribe("n", on_dead="wait"), 'on_dead="?.?wait'),
        (lambda app: app.topic("t").subscribe("n")(len), "stands above a task, not .*len"),
    ],
)
def test_what_cannot_be_subscribed_is_refused(
    wrong: Callable[[Headrace], Any], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        wrong(Headrace("shop"))


async def test_an_event_of_another_kind_is_refused(migrated_url: str) -> None:
    async with Headrace("shop", database_url=migrated_url) as app:
        paid: Topic[Any] = two_subscribers(app, [])
        with pytest.raises(BadArguments, match=r'"orders.paid" does not take .*: Expected `in'):
            await paid.publish({"order": "seven"})
        with pytest.raises(BadPayload, match=r'"orders.paid": the event cannot be stored'):
            await paid.publish(object())


async def test_another_application_needs_another_name(migrated_url: str) -> None:
    async with Headrace("shop", database_url=migrated_url) as shop:
        two_subscribers(shop, [])
        await shop.declare()
    books = Headrace("books", database_url=migrated_url)
    two_subscribers(books, [])
    with pytest.raises(ConfigError, match='belongs to application "shop"'):
        await books.start()


def test_without_an_event_loop(migrated_url: str) -> None:
    app = Headrace("shop", database_url=migrated_url)
    paid = two_subscribers(app, [])
    try:
        assert len(paid.publish_sync(Paid(order=1), key="a")) == 2
        assert len(paid.publish_many_sync([Paid(order=2), Paid(order=3)])) == 4
    finally:
        app.stop_sync()


async def test_topics_by_hand(migrated_url: str) -> None:
    async with Headrace("shop", database_url=migrated_url) as app:
        two_subscribers(app, [])
        await app.declare()

    def run(*command: str) -> tuple[int, str, HeadraceError | None]:
        result = CliRunner().invoke(program, ["topics", *command, "--database-url", migrated_url])
        refused = result.exception if isinstance(result.exception, HeadraceError) else None
        return result.exit_code, result.stdout, refused

    async def told(*command: str) -> tuple[int, str, HeadraceError | None]:
        return await asyncio.to_thread(run, *command)

    _, out, _ = await told("publish", "orders.paid", '{"order": 1}', "--json")
    assert len(json.loads(out)["jobs"]) == 2
    _, out, _ = await told("list", "--json")
    rows = json.loads(out)["subscriptions"]
    assert [(row["name"], row["queue"], row["behind"]) for row in rows] == [
        ("mail", "mail", 1),
        ("stock", "stock", 1),
    ]
    _, out, _ = await told("list")
    assert [line.split()[:5] for line in out.splitlines()[1:]] == [
        ["orders.paid", "mail", "thank", "mail", "1"],
        ["orders.paid", "stock", "take_from_shelf", "stock", "1"],
    ]
    assert (await told("publish", "nothing", "1"))[:2] == (0, "")
    assert "is no JSON" in str((await told("publish", "orders.paid", "{order}"))[2])
    code, out, _ = await told("unsubscribe", "orders.paid", "mail")
    assert (code, out) == (0, 'subscription "mail" gets no more events of topic "orders.paid"\n')
    _, _, refused = await told("unsubscribe", "orders.paid", "mail")
    assert 'topic "orders.paid" has no subscription "mail"' in str(refused)
