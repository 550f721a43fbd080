"""Very many jobs at once: due in one second, or waiting while workers are killed."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from chaos.customer import Customer
from chaos.drill import Size, drill
from chaos.fleet import Role
from chaos.history import now_ns
from chaos.site import Mode, Site

AT_ONCE = 10_000  # jobs in a call
WITHIN_MS = 20.0
DUE = "SELECT min(run_at) <= now() FROM headrace.job WHERE state = 0"
DONE = "SELECT count(*) >= {n} FROM headrace.job WHERE state = 2"
hybrid = pytest.mark.parametrize("site", [Mode.HYBRID], indirect=True)


@pytest.fixture
def patient(size: Size) -> Size:
    """Nothing flows beforehand."""
    return replace(size, jobs=0)


def workers(site: Site) -> Sequence[Role]:
    """Two that take what is there."""
    return site.worker(processes=2, queues={"work": 100}), site.services()


@hybrid
@pytest.mark.timeout(1200)
async def test_a_hundred_thousand_jobs_are_due_in_one_second(
    site: Site, patient: Size, request: pytest.FixtureRequest
) -> None:
    long = request.config.getoption("chaos_long")
    jobs, delay, within = (100_000, 60.0, 120.0) if long else (2_000, 2.0, 20.0)
    name = f"{jobs} jobs due in one second"
    assert site.redis_url is not None
    async with (
        drill(name, site, patient, within=within, roles=workers) as going,
        site.customer() as customer,
        Redis.from_url(site.redis_url) as client,
    ):
        await ask(customer, jobs, delay=delay)
        await site.ledger_says(DUE, within=delay + 10)
        await client.config_resetstat()
        going.strike("all due")
        due = now_ns()
        await site.quiet(within=10 * within)
        going.over(due)
        spent = await spent_in(client)
    if patient.timed:
        assert max(spent.values()) < WITHIN_MS, spent


@hybrid
@pytest.mark.chaos_long
@pytest.mark.timeout(3600)
async def test_workers_are_killed_while_a_million_jobs_wait(site: Site, patient: Size) -> None:
    await kill_workers_in_a_backlog(site, patient, jobs=1_000_000, kills=30, within=1800.0)


@hybrid
async def test_workers_are_killed_while_many_jobs_wait(site: Site, patient: Size) -> None:
    await kill_workers_in_a_backlog(site, patient, jobs=4_000, kills=3, within=30.0)


async def kill_workers_in_a_backlog(
    site: Site, size: Size, *, jobs: int, kills: int, within: float
) -> None:
    async with site.customer() as customer:
        await ask(customer, jobs)
    name = f"backlog of {jobs} jobs under kills"
    async with drill(name, site, size, within=within, roles=workers) as going:
        began = now_ns()
        for kill in range(kills):
            await site.ledger_says(DONE.format(n=jobs * kill // kills + 1), within=within)
            await going.fleet.kill(await going.fleet.pick("worker", kill))
        await site.quiet(within=within)
        going.over(began)


async def ask(customer: Customer, jobs: int, delay: float = 0.0) -> None:
    for _ in range(0, jobs, AT_ONCE):
        await customer.ask("quick", min(AT_ONCE, jobs), delay=delay)


async def spent_in(client: Redis) -> dict[str, float]:
    """The p99 of each command within Redis, in ms; waiting is no work."""
    told = await client.info("latencystats")
    return {
        name.removeprefix("latency_percentiles_usec_"): float(spread["p99"]) / 1000
        for name, spread in told.items()
        if not name.endswith(("blpop", "config|resetstat"))
    }
