"""Replies that are lost after their statement committed, and networks that come and go."""

import asyncio

from chaos.dialects import PostgresDialect
from chaos.network import Delay, Drop, Hold
from chaos.proxy import Proxy
from chaos.site import SHORT_LEASE, Site

# The first words of each statement, and of what the driver sends at the end of a transaction.
LOST = {
    "claim": b"-- claim:",
    "completion": b"-- settle_completed:",
    "outcome": b"-- settle:",
    "beat": b"-- beat:",
    "commit of a handler's transaction": b"COMMIT",
    "insert": b"-- insert:",
    "insert with a key or in a transaction": b"-- insert_docs:",
    "watch": b"-- watch:",
}
BLAMED = "SELECT coalesce(sum(crashes), 0) FROM headrace.job"


async def test_any_reply_may_be_lost(site: Site) -> None:
    with Proxy.before(site.database_url, PostgresDialect) as proxy:
        behind = site.behind(proxy.url)
        async with behind.fleet(behind.worker(), behind.producer()) as fleet:
            for first_words in LOST.values():
                trap = proxy.drop_next_reply(first_words)
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
        behind = site.behind(proxy.url)
        roles = (behind.worker(processes=2), behind.producer(), site.worker("elsewhere"))
        async with behind.fleet(*roles) as fleet:
            await site.ledger_says("SELECT count(*) > 100 FROM headrace.job")
            for fault in (Hold(), Delay(0.1), Drop()):
                proxy.inject(fault)
                # Somebody who is not behind it notices those who are.
                await asyncio.sleep(2 * SHORT_LEASE)
                proxy.heal()
            await fleet.retire("producer")
            await site.quiet(within=20)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
