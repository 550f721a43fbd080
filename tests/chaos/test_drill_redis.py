"""Redis fails over to what is late, is there twice, is full, or slow, while jobs flow."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from chaos.dialects import RedisDialect
from chaos.drill import Size, drill
from chaos.faultplan import until
from chaos.fleet import Role
from chaos.network import Delay, Hold
from chaos.proxy import Proxy
from chaos.site import Site
from headrace.embedded import EmbeddedValkey


@pytest.fixture
def way(valkey: EmbeddedValkey) -> Iterator[Proxy]:
    """The way to Redis, whichever server that is."""
    with Proxy.before(valkey.url, RedisDialect) as proxy:
        yield proxy


@pytest.fixture
def feed(valkey: EmbeddedValkey) -> Iterator[Proxy]:
    """The way by which the replica is fed."""
    with Proxy.before(valkey.url) as proxy:
        yield proxy


@pytest.fixture
async def site(tmp_path: Path, migrated_url: str, valkey: EmbeddedValkey, way: Proxy) -> Site:
    """Everybody goes by that way, but for the runner."""
    site = Site(tmp_path, migrated_url, valkey.url)
    await site.prepare()
    return site.behind_lane(way.url)


@pytest.fixture
async def replica(
    valkey: EmbeddedValkey, feed: Proxy, server_directory: Path
) -> AsyncIterator[EmbeddedValkey]:
    """A server that follows the lane's, and opens to the same password."""
    directory = server_directory / "replica"
    directory.mkdir(mode=0o755)
    password = shutil.copy2(valkey.data_dir.with_name("valkey.password"), directory)
    settings = {
        "replicaof": f"{feed.host} {feed.port}",
        "masterauth": Path(password).read_text(),
    }
    async with Redis.from_url(valkey.url) as client:
        await client.config_set("repl-diskless-sync-delay", 0)
    with EmbeddedValkey(directory / "valkey", settings=settings) as replica:
        async with Redis.from_url(replica.url) as client:

            async def follows() -> bool:
                link = await client.info("replication")
                return bool(link["master_link_status"] == "up")

            await until(follows, within=20, what="the replica follows")
        yield replica


async def promote(replica: EmbeddedValkey) -> None:
    """Make it a master."""
    async with Redis.from_url(replica.url) as client:
        await client.replicaof("NO", "ONE")


async def test_a_replica_that_is_late_takes_over(
    site: Site, valkey: EmbeddedValkey, replica: EmbeddedValkey, way: Proxy, feed: Proxy, size: Size
) -> None:
    """It has jobs that are over meanwhile, and none that came meanwhile."""
    async with drill("late replica of Redis promoted", site, size, within=15.0) as going:
        feed.inject(Hold())
        await going.flow()
        going.strike("loss of the master")
        await asyncio.to_thread(valkey.kill)
        await promote(replica)
        way.lead_to(replica.url)
        await going.recover()
        await going.flow()


async def test_two_masters_each_with_half_of_the_workers(
    site: Site, valkey: EmbeddedValkey, replica: EmbeddedValkey, way: Proxy, feed: Proxy, size: Size
) -> None:
    with Proxy.before(valkey.url, RedisDialect) as other_way:

        def halves(site: Site) -> Sequence[Role]:
            other = site.behind_lane(other_way.url)
            return (
                site.worker("here"),
                other.worker("there"),
                site.producer(),
                site.steady_producer(),
                site.services(),
            )

        async with drill(
            "Redis split in two masters", site, size, within=20.0, roles=halves
        ) as going:
            going.strike("split brain")
            feed.inject(Hold())
            await promote(replica)
            other_way.lead_to(replica.url)
            await asyncio.sleep(size.split)  # the fault is its length
            await asyncio.to_thread(valkey.kill)
            way.lead_to(replica.url)
            await going.recover()
            await going.flow()


async def test_memory_runs_out(site: Site, valkey: EmbeddedValkey, size: Size) -> None:
    """Every enqueue succeeds all the while; what did not fit comes into the lane later."""
    async with (
        drill("Redis out of memory", site, size, within=5.0) as going,
        going.site.customer() as customer,
    ):
        for _ in range(size.rounds):
            going.strike("maxmemory reached")
            async with memory_full(valkey):
                for _ in range(20):
                    await customer.ask("quick", size.jobs // 20)
            await going.recover()


@asynccontextmanager
async def memory_full(valkey: EmbeddedValkey) -> AsyncIterator[None]:
    """No more may be written."""
    async with Redis.from_url(valkey.url) as client:
        await client.config_set("maxmemory", 1)
        try:
            yield
            refused = (await client.info("errorstats"))["errorstat_OOM"]["count"]
            assert refused > 0, "nothing was refused, so this shows nothing"
        finally:
            await client.config_set("maxmemory", 0)


async def test_the_way_to_the_lane_is_slow(site: Site, way: Proxy, size: Size) -> None:
    async with drill("Redis 200 ms away", site, size, within=5.0) as going:
        going.strike("200 ms each way")
        way.inject(Delay(0.2))
        for _ in range(size.rounds):
            await going.recover()
            await going.flow()
        way.heal()
