"""The proxy before real servers: what was done though its answer was lost, and what was not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError

from chaos.dialects import PostgresDialect, RedisDialect
from chaos.network import Hold
from chaos.proxy import Proxy
from headrace.embedded import EmbeddedPostgres, EmbeddedValkey

Postgres: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
LOST = (asyncpg.PostgresConnectionError, ConnectionError)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    folder: Path = tmp_path_factory.mktemp("servers") / "postgres"
    with EmbeddedPostgres(folder, settings={"fsync": "off"}) as server:
        yield server


@pytest.fixture
def proxy(server: EmbeddedPostgres) -> Iterator[Proxy]:
    with Proxy("127.0.0.1", server.port, PostgresDialect) as proxy:
        yield proxy


@pytest.fixture
async def direct(server: EmbeddedPostgres) -> AsyncIterator[Postgres]:
    connection = await asyncpg.connect(server.url)
    await connection.execute("CREATE TABLE job (id int PRIMARY KEY)")
    yield connection
    await connection.execute("DROP TABLE job")
    await connection.close()


@pytest.fixture
async def proxied(server: EmbeddedPostgres, proxy: Proxy) -> AsyncIterator[Postgres]:
    connection = await asyncpg.connect(through(proxy, server.url))
    yield connection
    connection.terminate()


def through(proxy: Proxy, url: str) -> str:
    parts = urlsplit(url)
    login = parts.netloc.rsplit("@", 1)[0]
    return urlunsplit(parts._replace(netloc=f"{login}@{proxy.host}:{proxy.port}"))


async def jobs(direct: Postgres) -> list[int]:
    return [row["id"] for row in await direct.fetch("SELECT id FROM job ORDER BY id")]


async def insert_in_transaction(connection: Postgres, job: int) -> None:
    async with connection.transaction():
        await connection.execute("INSERT INTO job VALUES ($1)", job)


async def test_a_commit_whose_reply_is_lost_is_a_commit(
    proxy: Proxy, proxied: Postgres, direct: Postgres
) -> None:
    trap = proxy.drop_next_reply(after=b"COMMIT")
    with pytest.raises(LOST):
        await insert_in_transaction(proxied, 1)
    assert trap.sprung
    assert await jobs(direct) == [1]


async def test_a_commit_that_never_arrives_is_a_rollback(
    proxy: Proxy, proxied: Postgres, direct: Postgres
) -> None:
    proxy.drop_next_request(containing=b"COMMIT")
    with pytest.raises(LOST):
        await insert_in_transaction(proxied, 1)
    assert await jobs(direct) == []


@pytest.mark.parametrize("prepared_before", [False, True])
async def test_a_statement_of_its_own_whose_reply_is_lost_is_committed(
    proxy: Proxy, proxied: Postgres, direct: Postgres, *, prepared_before: bool
) -> None:
    insert = "INSERT INTO job VALUES ($1) RETURNING id"
    if prepared_before:
        await proxied.fetch(insert, 1)
    trap = proxy.drop_next_reply(after=b"INSERT INTO job")
    with pytest.raises(LOST):
        await proxied.fetch(insert, 2)
    assert trap.sprung
    assert await jobs(direct) == ([1, 2] if prepared_before else [2])


async def test_a_long_answer_is_awaited_to_its_end(
    proxy: Proxy, proxied: Postgres, direct: Postgres
) -> None:
    proxy.drop_next_reply(after=b"INSERT INTO job")
    rows = 100_000
    with pytest.raises(LOST):
        await proxied.fetch(
            "INSERT INTO job SELECT n FROM generate_series(1, $1::int) AS n RETURNING id", rows
        )
    assert len(await jobs(direct)) == rows


async def test_only_the_trapped_statement_is_lost(
    proxy: Proxy, proxied: Postgres, direct: Postgres
) -> None:
    trap = proxy.drop_next_reply(after=b"DELETE FROM job")
    await insert_in_transaction(proxied, 1)
    assert await proxied.fetchval("SELECT count(*) FROM job") == 1
    assert not trap.sprung
    with pytest.raises(LOST):
        await proxied.execute("DELETE FROM job")
    assert await jobs(direct) == []


async def test_a_partition_that_heals_delivers_late(
    proxy: Proxy, proxied: Postgres, direct: Postgres
) -> None:
    proxy.inject(Hold())
    asked = asyncio.create_task(proxied.execute("INSERT INTO job VALUES (1)"))
    done, _ = await asyncio.wait([asked], timeout=0.05)
    assert not done
    assert await jobs(direct) == []
    proxy.heal()
    await asyncio.wait_for(asked, 10)
    assert await jobs(direct) == [1]


async def test_a_redis_script_whose_reply_is_lost_was_run(tmp_path: Path) -> None:
    script = "return redis.call('INCR', KEYS[1])"
    with (
        EmbeddedValkey(tmp_path / "valkey") as server,
        Proxy("127.0.0.1", server.port, RedisDialect) as proxy,
    ):
        direct = redis.asyncio.from_url(server.url)
        proxied = redis.asyncio.from_url(through(proxy, server.url), retry=None)
        assert await proxied.ping()
        trap = proxy.drop_next_reply(after=b"EVAL")
        with pytest.raises(RedisConnectionError):
            await proxied.eval(script, 1, "counter")
        assert trap.sprung
        assert await direct.get("counter") == b"1"
        proxy.drop_next_request(containing=b"EVAL")
        with pytest.raises(RedisConnectionError):
            await proxied.eval(script, 1, "counter")
        assert await direct.get("counter") == b"1"
        assert await proxied.eval(script, 1, "counter") == 2
        await proxied.aclose()
        await direct.aclose()
