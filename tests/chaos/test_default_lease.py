"""At the lease that users get, the jobs of a killed worker run again within 20 seconds."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.nursery import Nursery
from chaos.processes.tasks import QUEUE
from chaos.site import Mode, Site
from servers import fresh_database

JOBS = 5
WITHIN = 20.0  # seconds


@pytest.fixture
def other_url(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """A second ledger: most of this is waiting for a lease, so both modes wait side by side."""
    with fresh_database(postgres_url, migrated_template) as url:
        yield url


async def test_jobs_of_a_killed_worker_run_again_within_20_seconds(
    tmp_path: Path, migrated_url: str, other_url: str, redis_url: str
) -> None:
    direct = Site(tmp_path / Mode.DIRECT, other_url)
    hybrid = Site(tmp_path / Mode.HYBRID, migrated_url, redis_url)
    async with Nursery() as nursery, asyncio.TaskGroup() as modes:
        for site in (direct, hybrid):
            modes.create_task(kill_a_worker(replace(site, lease=None, nursery=nursery)))


async def kill_a_worker(site: Site) -> None:
    site.folder.mkdir()
    await site.prepare()
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
