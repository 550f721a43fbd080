"""A server's disk is full: what cannot be kept is refused in one sentence, and then all goes on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from chaos.customer import Customer
from chaos.disk import filled, small_disk
from chaos.drill import Size, drill
from chaos.faultplan import until
from chaos.site import Site
from headrace import LedgerUnavailable
from headrace.embedded import EmbeddedPostgres, EmbeddedValkey
from headrace.ledger.migrate import migrate
from servers import ROOMY, postgres_from, postgres_template

SETTINGS = {**ROOMY, "track_commit_timestamp": "on"}
POSTGRES_DISK = 200  # MB
VALKEY_DISK = 8  # MB


@pytest.fixture
def disk(server_directory: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A small one."""
    with small_disk(server_directory / "disk", request.param) as disk:
        yield disk


@pytest.fixture
def ledger_server(disk: Path, shared_directory: Path) -> Iterator[EmbeddedPostgres]:
    """PostgreSQL with its data and its log of writes on the small disk."""
    template = postgres_template(shared_directory)
    with postgres_from(template, disk / "own", SETTINGS) as server:
        yield server


@pytest.fixture
def lane_server(disk: Path) -> Iterator[EmbeddedValkey]:
    """Valkey with its append-only file on the small disk."""
    with EmbeddedValkey(disk / "own" / "valkey") as server:
        yield server


@pytest.mark.parametrize("disk", [POSTGRES_DISK], indirect=True)
async def test_the_disk_of_postgres_is_full(
    tmp_path: Path, ledger_server: EmbeddedPostgres, disk: Path, redis_url: str, size: Size
) -> None:
    await migrate(ledger_server.url)
    site = Site(tmp_path, ledger_server.url, redis_url)
    await site.prepare()
    async with (
        drill("PostgreSQL's disk full", site, size, within=5.0) as going,
        going.site.customer() as customer,
    ):
        for _ in range(size.rounds):
            going.strike("disk full")
            with filled(disk), pytest.raises(LedgerUnavailable) as refused:
                await asyncio.wait_for(ask_on_and_on(customer), 60)
            (sentence,) = str(refused.value).splitlines()
            assert "no room left" in sentence
            if ledger_server.pid is None:
                await asyncio.to_thread(ledger_server.start)
            await going.recover()
            await going.flow()


async def ask_on_and_on(customer: Customer) -> None:
    while True:
        await customer.ask("quick", 500)


@pytest.mark.parametrize("disk", [VALKEY_DISK], indirect=True)
async def test_the_disk_of_redis_is_full(
    tmp_path: Path, lane_server: EmbeddedValkey, disk: Path, migrated_url: str, size: Size
) -> None:
    """Every enqueue succeeds all the while."""
    site = Site(tmp_path, migrated_url, lane_server.url)
    await site.prepare()
    async with (
        drill("Redis' disk full", site, size, within=15.0) as going,
        going.site.customer() as customer,
        Redis.from_url(lane_server.url) as client,
    ):

        async def refused() -> bool:
            await customer.ask("quick", 100)
            told = await client.info("errorstats")
            return "errorstat_MISCONF" in told

        for _ in range(size.rounds):
            going.strike("disk full")
            with filled(disk):
                await until(refused, within=30, what="Redis cannot write")
            await going.recover()
            await going.flow()
