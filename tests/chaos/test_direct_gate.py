"""The gate: random faults on real processes and servers while jobs of all kinds flow."""

from pathlib import Path

from chaos.faultplan import carry_out, kill, plan, stop
from chaos.site import SHORT_LEASE, Site


async def test_first(tmp_path: Path, database_url: str) -> None:
    site = Site(tmp_path, database_url)
    await site.prepare()
    faults = [
        kill("worker", weight=6, busy=site.busy),
        kill("producer", weight=2, busy=site.busy),
        kill("services", weight=2, busy=site.busy),
        stop("worker", seconds=2 * SHORT_LEASE, weight=2, busy=site.busy),
    ]
    async with site.fleet(
        site.worker(processes=3), site.producer(processes=2), site.services()
    ) as fleet:
        await carry_out(fleet, plan(1, faults, seconds=20, mean_gap=0.8))
        await fleet.retire("producer")
        await site.quiet(within=30)
    verdict = await site.verdict()
    print(verdict)
    assert not verdict.violations, str(verdict)
