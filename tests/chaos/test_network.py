"""Replies that are lost after their call was carried out, and networks that come and go."""

import asyncio
from collections.abc import Iterable, Mapping

import pytest

from chaos.dialects import PostgresDialect, RedisDialect
from chaos.fleet import Role
from chaos.network import Delay, Drop, Hold
from chaos.proxy import Proxy
from chaos.site import SHORT_LEASE, Mode, Site
from headrace.lanes.redis.scripts import script

# The first words of each statement, and of what the driver sends at the end of a transaction.
STATEMENTS = {
    "completion": b"-- settle_completed:",
    "outcome": b"-- settle:",
    "beat": b"-- beat:",
    "commit of a handler's transaction": b"COMMIT",
    "insert": b"-- insert:",
    "insert with a key or in a transaction": b"-- insert_docs:",
    "watch": b"-- watch:",
}
LOST: Mapping[Mode, Mapping[str, bytes]] = {
    Mode.DIRECT: {"claim": b"-- claim:", **STATEMENTS},
    Mode.HYBRID: {
        "verification": b"-- stale:",
        "claim of a last attempt": b"-- claim_known:",
        "sweep": b"-- sweep:",
        "walk": b"-- walk:",
        **STATEMENTS,
    },
}
LOST_BY_THE_LANE = ("put", "take", "beat", "lapsed", "cursors")
BLAMED = "SELECT coalesce(sum(crashes), 0) FROM headrace.job"
MANY = "SELECT count(*) > 100 FROM headrace.job"


async def test_any_reply_may_be_lost(site: Site) -> None:
    with Proxy.before(site.database_url, PostgresDialect) as proxy:
        behind = site.behind(proxy.url)
        await lose(site, [behind.worker(), behind.producer()], proxy, LOST[site.mode].values())


@pytest.mark.parametrize("site", [Mode.HYBRID], indirect=True)
async def test_any_reply_of_the_lane_may_be_lost(site: Site) -> None:
    assert site.redis_url is not None
    with Proxy.before(site.redis_url, RedisDialect) as proxy:
        behind = site.behind_lane(proxy.url)
        digests = [script(name).digest for name in LOST_BY_THE_LANE]
        await lose(site, [behind.worker(), behind.producer()], proxy, [*digests, b"BLPOP"])


async def lose(site: Site, roles: list[Role], proxy: Proxy, calls: Iterable[bytes]) -> None:
    """Lose the reply of each call once, and blame nobody for it."""
    async with site.fleet(*roles) as fleet:
        await site.ledger_says(MANY)
        for words in calls:
            trap = proxy.drop_next_reply(words)
            await asyncio.to_thread(trap.wait, 20.0)
        await fleet.retire("producer")
        await site.quiet(within=20)
        await fleet.retire("worker")
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
    async with site.connection() as connection:
        assert await connection.fetchval(BLAMED) == 0


async def test_a_network_that_comes_and_goes(site: Site) -> None:
    with Proxy.before(site.database_url, PostgresDialect) as proxy:
        await come_and_go(site, site.behind(proxy.url), proxy)


@pytest.mark.parametrize("site", [Mode.HYBRID], indirect=True)
async def test_a_way_to_the_lane_that_comes_and_goes(site: Site) -> None:
    assert site.redis_url is not None
    with Proxy.before(site.redis_url, RedisDialect) as proxy:
        await come_and_go(site, site.behind_lane(proxy.url), proxy)


async def come_and_go(site: Site, behind: Site, proxy: Proxy) -> None:
    """Let some lose their way to a server, while one that is not behind the proxy goes on."""
    roles = (behind.worker(processes=2), behind.producer(), site.worker("elsewhere"))
    async with behind.fleet(*roles) as fleet:
        await site.ledger_says(MANY)
        for fault in (Hold(), Delay(0.1), Drop()):
            proxy.inject(fault)
            # The fault is its length: long enough for the one elsewhere to take their jobs.
            await asyncio.sleep(2 * SHORT_LEASE)
            proxy.heal()
        await fleet.retire("producer")
        await site.quiet(within=20)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
