"""At the lease that users get, the jobs of a killed worker run again within 20 seconds."""

from dataclasses import replace

from chaos.processes.tasks import QUEUE
from chaos.site import Site

JOBS = 5
WITHIN = 20.0  # seconds


async def test_jobs_of_a_killed_worker_run_again_within_20_seconds(site: Site) -> None:
    site = replace(site, lease=None)
    async with site.customer() as customer:
        await customer.ask("slow", JOBS, seconds=5.0)
    async with site.fleet(site.worker("victim", queues={QUEUE: JOBS})) as fleet:
        await site.started(JOBS)
        fleet.add(site.worker("other"))
        await site.ledger_says("SELECT count(*) = 2 FROM headrace.worker")
        await fleet.kill(await fleet.pick("victim", 0))
        await site.quiet(within=WITHIN + 20)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
    assert len(verdict.summary.recoveries) == JOBS
    assert max(verdict.summary.recoveries) <= WITHIN, str(verdict)
