"""Jobs of few keys while everybody dies and replies are lost: never two of a key."""

import asyncio
from contextlib import suppress

from chaos.commotion import commotion
from chaos.site import Site
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify
from headrace.model.check import Breach

SEED = 7
ENOUGH = "SELECT count(*) >= 100 FROM headrace.job"


async def test_a_key_has_one_job_whoever_dies(site: Site) -> None:
    found: list[Breach] = []
    async with Queries(site.database_url) as queries:
        watching = asyncio.create_task(watch(queries, found))
        async with commotion(site, ("unique",), seed=SEED) as fleet:
            await site.ledger_says(ENOUGH, within=60)
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching  # what it failed of is this test's failure
            await fleet.retire("producer")
            await site.quiet(within=60)
    assert found == []
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
    assert verdict.summary.faults["kill"] >= 5


async def watch(queries: Queries, found: list[Breach]) -> None:
    """Look for two jobs of a key, again and again."""
    while True:
        for verdict in await verify(queries, quiesced=False, repair=False):
            found += verdict.breaches if verdict.check.name == "unique" else ()
        await asyncio.sleep(0.1)  # between looks, which cost the runs time
