"""Jobs of few keys while everybody dies and replies are lost: never two of a key."""

import asyncio

from chaos.dialects import PostgresDialect
from chaos.faultplan import carry_out, kill, plan
from chaos.proxy import Proxy
from chaos.serverfaults import REPLIES, faults_of_the_way
from chaos.site import Site
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify
from headrace.model.check import Breach

SEED = 7
SECONDS = 3.0
MEAN_GAP = 0.12
ENOUGH = "SELECT count(*) >= 100 FROM headrace.job"


async def test_a_key_has_one_job_whoever_dies(site: Site) -> None:
    with Proxy.before(site.database_url, PostgresDialect) as proxy:
        faults = [
            kill("worker", weight=4, busy=site.busy),
            kill("producer", weight=4, busy=site.busy),
            kill("services", busy=site.busy),
            *faults_of_the_way(proxy, "ledger", REPLIES),
        ]
        behind = site.behind(proxy.url)
        roles = (
            behind.worker(processes=2),
            behind.producer(processes=3, ways=("unique",)),
            behind.services(),
        )
        async with behind.fleet(*roles) as fleet, Queries(site.database_url) as queries:
            found: list[Breach] = []
            watching = asyncio.create_task(watch(queries, found))
            await carry_out(fleet, plan(SEED, faults, SECONDS, MEAN_GAP))
            await site.ledger_says(ENOUGH, within=60)
            watching.cancel()
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
