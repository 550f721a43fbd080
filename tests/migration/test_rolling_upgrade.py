"""The version before and this one side by side, on tables that are migrated under their load."""

import json
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from headrace.ledger.doctor import examine
from headrace.ledger.migrate import migrate, newest
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify
from integration.served import until
from migration.versions import Shop, unpack

TABLES = """
    CREATE TABLE sold (number int, seller text);
    CREATE TABLE ran (number int, seller text, worker text);
    CREATE TABLE put_off (number int, seller text, PRIMARY KEY (number, seller));
    CREATE TABLE held (number int, worker text);
    CREATE TABLE let_go ();
    CREATE SEQUENCE next;
"""
HYBRID = "SELECT mode = 'hybrid' FROM headrace.lane"
RUNS = "SELECT count(*) FROM ran WHERE seller = $1 AND worker = $2"
OVER = "SELECT NOT EXISTS (SELECT FROM headrace.job WHERE state < 2)"
UNDONE = """
    SELECT number, seller, count(r.worker) AS runs
    FROM sold s LEFT JOIN ran r USING (number, seller)
    GROUP BY number, seller HAVING count(r.worker) <> 1
"""
ALL_HELD = "SELECT count(*) = currval('next') FROM held"
LET_GO = """
    SELECT every(state = 2 AND failures = 0) FROM headrace.job WHERE task = 'linger'
"""
LONG = 30.0
PAIRS = [(seller, worker) for seller in ("earlier", "this") for worker in ("earlier", "this")]


@pytest.fixture(params=["direct", "hybrid"])
async def shop(
    request: pytest.FixtureRequest, database_url: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[Shop]:
    """On tables that the version before has made."""
    environment = {"HEADRACE_DATABASE_URL": database_url, "HEADRACE_LEASE": "1500ms"}
    if request.param == "hybrid":
        async with Redis.from_url(redis_url) as client:
            await client.flushall()
        environment["HEADRACE_REDIS_URL"] = redis_url
    shop = Shop(environment, unpack(tmp_path / "earlier"))
    await shop.migrate_by_the_earlier()
    yield shop
    await shop.close()


@pytest.fixture
async def sql(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(TABLES)
    yield connection
    await connection.close()


async def test_two_versions_work_side_by_side(
    shop: Shop, database_url: str, sql: asyncpg.Connection
) -> None:
    """Neither loses a job of the other's, nor what the other was killed with in its hands."""
    worker = await shop.open("worker", "earlier")
    producers = [await shop.open("producer", "earlier")]
    if "HEADRACE_REDIS_URL" in shop.environment:
        await until(lambda: sql.fetchval(HYBRID), LONG)
    await sold(sql, "earlier", "earlier", 25)
    # The earlier code connects for its beats with the first one, and asks then for the schema.
    await until(lambda: sql.fetchval("SELECT bool_and(beats > 0) FROM headrace.worker"), LONG)

    assert [one.version for one in await migrate(database_url)] == list(range(15, newest() + 1))

    await sold(sql, "earlier", "earlier", 25)
    later = await shop.open("worker", "this")
    producers.append(await shop.open("producer", "this"))
    for seller, by in PAIRS:
        await sold(sql, seller, by, 10)
    assert "1 of 2 living workers run earlier code than this" in await told(database_url)

    await kill_with_a_job(shop, sql, later, "this")
    later = await shop.open("worker", "this")
    await kill_with_a_job(shop, sql, worker, "earlier")
    await until(partial(all_of_this_code, database_url), LONG)
    for producer in producers:
        await shop.retire(producer)
    await until(lambda: sql.fetchval(OVER), LONG)
    await shop.retire(later)
    assert await sql.fetch(UNDONE) == []
    async with Queries(database_url) as queries:
        for verdict in await verify(queries, quiesced=True, repair=False):
            assert not verdict.breaches, verdict


async def sold(sql: asyncpg.Connection, seller: str, by: str, jobs: int) -> None:
    """Wait until a version has run so many more jobs of another."""
    before = await sql.fetchval(RUNS, seller, by)

    async def enough() -> bool:
        return bool(await sql.fetchval(RUNS, seller, by) >= before + jobs)

    await until(enough, LONG)


async def kill_with_a_job(
    shop: Shop, sql: asyncpg.Connection, worker: Process, version: str
) -> None:
    """Kill a worker that holds a job: the other version finishes that one, too."""
    held = "SELECT number FROM held WHERE worker = $1"
    while not await sql.fetch(held, version):
        job = {"task": "linger", "args": {"number": await sql.fetchval("SELECT nextval('next')")}}
        await sql.fetchval("SELECT headrace_enqueue($1)", json.dumps(job))
        await until(lambda: sql.fetchval(ALL_HELD), LONG)
    await shop.kill(worker)
    await sql.execute("INSERT INTO let_go DEFAULT VALUES")
    await until(lambda: sql.fetchval(LET_GO), LONG)
    await sql.execute("TRUNCATE held, let_go; ALTER SEQUENCE next RESTART")


async def told(database_url: str) -> list[str]:
    """What the doctor says."""
    return [one.text for one in await examine(database_url)]


async def all_of_this_code(database_url: str) -> bool:
    """Whether the doctor has nothing to say of an upgrade."""
    return not any("earlier code" in text for text in await told(database_url))
