"""Streams: each reader has a place of its own, and misses nothing that it is not told of."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import asyncpg
import pytest
import redis.asyncio
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from headrace import BadPayload, Headrace, StreamEvent, UsageError
from headrace.ledger.queries import Queries
from headrace.ledger.retention import LedgerKeeper
from headrace.ledger.verify import verify
from headrace.model.stream import KEPT
from integration.served import MODES, served, until

PUBLISHER = """
import asyncio, os
from headrace import Headrace, LedgerUnavailable

app = Headrace("tests", database_url=os.environ["DATABASE"], redis_url=os.environ.get("REDIS"))

async def one(me):
    for number in range(50):  # fewer than a stream keeps, in all
        try:
            await app.streams.publish("s", "number", [me, number])
        except LedgerUnavailable:
            await asyncio.sleep(0.01)  # whether it is there is not known: the next one tells

async def main():
    async with app:
        print("begins", flush=True)
        await asyncio.gather(*(one(f"{os.getpid()}-{n}") for n in range(4)))
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:
        yield app


async def taken(events: AsyncIterator[StreamEvent], count: int) -> list[StreamEvent]:
    """The next events."""
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


async def test_two_tabs_of_a_user_both_see_all(app: Headrace) -> None:
    first = await app.streams.publish("users:42", "greeting", {"text": "hello"})
    async with (
        aclosing(app.streams.read("users:42", after=0)) as one,
        aclosing(app.streams.read("users:42", after=str(first - 1))) as other,
        aclosing(app.streams.read("users:43", heartbeat="20ms")) as stranger,
    ):
        (event,) = await taken(one, 1)
        assert (event.id, event.stream, event.kind) == (first, "users:42", "greeting")
        assert event.data == {"text": "hello"}
        assert event.at is not None
        assert event.at.tzinfo is not None
        assert await taken(other, 1) == [event]
        ids = [await app.streams.publish("users:42", "number", number) for number in range(300)]
        assert [event.id for event in await taken(one, 300)] == ids
        assert [event.id for event in await taken(other, 300)] == ids
        assert {event.kind for event in await taken(stranger, 2)} == {"heartbeat"}


async def test_who_comes_back_goes_on_where_it_was(app: Headrace) -> None:
    ids = [await app.streams.publish("s", "number", number) for number in range(5)]
    async with aclosing(app.streams.read("s", after=0)) as events:
        last = (await taken(events, 2))[-1].id
    async with aclosing(app.streams.read("s", after=last, heartbeat="50ms")) as events:
        got = await taken(events, 4)
    assert [event.id for event in got] == [*ids[2:], ids[-1]]
    assert got[-1].kind == "heartbeat"


async def test_from_now_on_is_from_now_on(app: Headrace) -> None:
    await app.streams.publish("s", "number", 1)
    async with aclosing(app.streams.read("s", heartbeat="20ms")) as events:
        assert [event.kind for event in await taken(events, 1)] == ["heartbeat"]
        await app.streams.publish("s", "number", 2)
        async with asyncio.timeout(10):
            async for event in events:
                if event.kind != "heartbeat":
                    break
        assert event.data == 2


async def test_who_asks_for_what_is_gone_is_told_so(app: Headrace) -> None:
    first = await app.streams.publish("s", "number", 0)
    for number in range(KEPT + 7):
        await app.streams.publish("s", "number", number)
    async with aclosing(app.streams.read("s", after=first)) as events:
        gap, event = await taken(events, 2)
    assert (gap.kind, gap.id, gap.data) == ("gap", first + 7, {"after": first})
    assert (event.id, event.data) == (first + 8, 7)
    async with aclosing(app.streams.read("s", after=first + 10**9)) as events:
        (gap,) = await taken(events, 1)
    assert (gap.kind, gap.id) == ("gap", first + KEPT + 7)
    async with aclosing(app.streams.read("unheard of", after=7)) as events:
        (gap,) = await taken(events, 1)
    assert (gap.kind, gap.id) == ("gap", 0)


async def test_ids_are_in_the_order_of_the_commits(app: Headrace, sql: asyncpg.Connection) -> None:
    """The trap: an id that is taken before and committed after one that was read already."""
    transaction = sql.transaction()
    await transaction.start()
    early = await app.streams.publish("s", "number", "early", tx=sql)
    async with aclosing(app.streams.read("s", after=0)) as events:
        late = asyncio.create_task(app.streams.publish("s", "number", "late"))
        await app.streams.publish("another", "number", "not held up")
        await until(lambda: waits_for_a_lock(app))
        await transaction.commit()
        got = await taken(events, 2)
    assert [(event.id, event.data) for event in got] == [(early, "early"), (await late, "late")]


async def test_publishers_that_wait_keep_nothing_else_waiting(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    @app.task(queue="streams")
    async def work() -> None: ...

    transaction = sql.transaction()
    await transaction.start()
    await app.streams.publish("s", "number", 0, tx=sql)
    waiting = [asyncio.create_task(app.streams.publish("s", "number", n)) for n in range(20)]
    await until(lambda: waits_for_a_lock(app))
    async with asyncio.timeout(10):
        await work.enqueue()
    assert not any(one.done() for one in waiting)
    await transaction.commit()
    ids = await asyncio.gather(*waiting)
    assert len(set(ids)) == 20


async def waits_for_a_lock(app: Headrace) -> bool:
    connection = await asyncpg.connect(app.settings.database_url)
    try:
        waiting = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
    finally:
        await connection.close()
    return bool(waiting)


async def test_it_commits_with_what_the_caller_writes(app: Headrace) -> None:
    engine = create_async_engine(
        str(app.settings.database_url).replace("postgresql://", "postgresql+asyncpg://")
    )
    async with AsyncSession(engine) as session:
        await app.streams.publish("s", "number", "never", tx=session)
        await session.rollback()
        async with session.begin():
            await app.streams.publish("s", "number", "kept", tx=session)
    await engine.dispose()
    async with aclosing(app.streams.read("s", after=0)) as events:
        (event,) = await taken(events, 1)
    assert event.data == "kept"


async def test_no_hole_and_no_double_whoever_dies(
    app: Headrace, sql: asyncpg.Connection, lane_url: str
) -> None:
    settings = app.settings
    redis_url = {"REDIS": settings.redis_url} if settings.redis_url else {}
    env = {**os.environ, "DATABASE": str(settings.database_url), **redis_url}

    @asynccontextmanager
    async def publisher() -> AsyncIterator[None]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PUBLISHER, env=env, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            assert await process.stdout.readline() == b"begins\n"
            yield
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()

    last, seen = 0, 0
    numbers: dict[str, list[int]] = {}
    ids: list[int] = []
    async with asyncio.timeout(60):
        for fault in range(2):
            async with publisher(), aclosing(app.streams.read("s", after=last)) as events:
                async for event in events:  # and comes back with the id that it had last
                    assert event.kind == "number"
                    last = event.id
                    ids.append(last)
                    numbers.setdefault(event.data[0], []).append(event.data[1])
                    seen += 1
                    if seen % 60 == 30:
                        await disturb(fault, sql, lane_url)
                    if seen % 60 == 0:
                        break
        end = await sql.fetchval("SELECT last FROM headrace.stream WHERE name = 's'")
        async with aclosing(app.streams.read("s", after=last)) as events:
            while last < end:
                event = await anext(events)
                assert event.kind == "number"
                last = event.id
                ids.append(last)
                numbers.setdefault(event.data[0], []).append(event.data[1])
    assert ids == list(range(ids[0], ids[-1] + 1))
    assert len(numbers) >= 4
    async with Queries(str(settings.database_url)) as queries:
        found = await verify(queries, quiesced=False, repair=False)
    assert [one for one in found if one.check.name == "streams" and one.breaches] == []
    for told in numbers.values():
        assert told == sorted(told)


async def disturb(fault: int, sql: asyncpg.Connection, lane_url: str) -> None:
    """Cut all who are connected: to PostgreSQL, or to the bus."""
    if fault % 2:
        await sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    else:
        async with redis.asyncio.from_url(lane_url) as client:
            await client.client_kill_filter(_type="pubsub", skipme=True)


async def test_upkeep_forgets_what_is_a_day_old(migrated_url: str, sql: asyncpg.Connection) -> None:
    app = Headrace("tests", database_url=migrated_url)
    async with app, Queries(migrated_url) as queries:
        old = [await app.streams.publish("s", "number", number) for number in range(3)]
        await app.streams.publish("idle", "number", 0)
        await sql.execute("UPDATE headrace.stream_event SET at = at - interval '2 days'")
        young = await app.streams.publish("s", "number", 3)
        keeper = LedgerKeeper(queries)
        assert await keeper.prune_streams() == 4
        assert await sql.fetchval("SELECT array_agg(name) FROM headrace.stream") == ["s"]
        async with aclosing(app.streams.read("s", after=old[0])) as events:
            gap, event = await taken(events, 2)
        assert (gap.kind, gap.id, event.id) == ("gap", old[2], young)
        again = await app.streams.publish("idle", "number", 1)
        assert again > young - 10**6
        verdicts = await verify(queries, quiesced=False, repair=False)
        assert not any(one.breaches for one in verdicts)


async def test_what_cannot_be_is_refused_in_a_sentence(migrated_url: str) -> None:
    async with Headrace("tests", database_url=migrated_url) as app:
        with pytest.raises(UsageError, match='kind "gap" is what readers are told'):
            await app.streams.publish("s", "gap")
        with pytest.raises(UsageError, match="stream has 0 characters"):
            await app.streams.publish("", "kind")
        with pytest.raises(BadPayload, match='stream "s": the data cannot be stored'):
            await app.streams.publish("s", "kind", object())
        with pytest.raises(UsageError, match="after is 'x', which is no id"):
            await anext(app.streams.read("s", after="x"))
        reading = asyncio.ensure_future(anext(app.streams.read("s", after=0)))
        await asyncio.sleep(0)
    with pytest.raises(UsageError, match="stopped while a stream was read"):
        await reading


def test_without_an_event_loop(migrated_url: str) -> None:
    app = Headrace("tests", database_url=migrated_url)
    first = app.streams.publish_sync("s", "number", 1)
    assert app.streams.publish_sync("s", "number", 2) == first + 1
    app.stop_sync()
