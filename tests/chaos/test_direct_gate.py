"""The gate: random faults on real processes and servers while jobs of all kinds flow."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from chaos.faultplan import Fault, PlannedFault, kill, plan, stop
from chaos.fleet import Fleet
from chaos.site import SHORT_LEASE, Site


async def strike(fleet: Fleet, planned: Sequence[PlannedFault]) -> None:
    """Let the faults strike one after the other, each when a victim is at work.

    What lasts, such as a process stopped, goes on beside the next.
    """
    async with asyncio.TaskGroup() as lasting:
        before = 0.0
        for step in planned:
            await asyncio.sleep(step.at - before)
            before = step.at
            struck = lasting.create_task(_strike(fleet, step))
            if not step.fault.name.startswith("stop"):
                await struck


async def _strike(fleet: Fleet, step: PlannedFault) -> None:
    await step.fault.strike(fleet, step.draw)


def faults_on_processes(site: Site) -> list[Fault]:
    return [
        kill("worker", weight=6, busy=site.busy),
        kill("producer", weight=2, busy=site.busy),
        kill("services", weight=2, busy=site.busy),
        stop("worker", seconds=2 * SHORT_LEASE, weight=1, busy=site.busy),
    ]


async def test_first(tmp_path: Path, database_url: str) -> None:
    site = Site(tmp_path, database_url)
    await site.prepare()
    async with site.fleet(
        site.worker(processes=3), site.producer(processes=2), site.services()
    ) as fleet:
        await strike(fleet, plan(1, faults_on_processes(site), seconds=20, mean_gap=0.5))
        await fleet.retire("producer")
        await site.quiet(within=30)
    verdict = await site.verdict()
    print(verdict)
    assert not verdict.violations, str(verdict)
