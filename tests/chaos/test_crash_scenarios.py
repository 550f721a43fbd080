"""SIGKILL at each named point: each is reached for certain, and nothing is lost or doubled."""

import pytest

from chaos.fleet import Role
from chaos.processes.tasks import QUEUE
from chaos.site import Site

TAKING = {
    "ledger.register:after": ("quick", 0.0),
    "ledger.claim:before": ("quick", 0.0),
    "ledger.claim:after": ("quick", 0.0),
    "hand.book:before": ("slow", 0.05),
    "hand.book:after": ("once", 0.05),
    "hand.start:before": ("slow", 0.05),
    "hand.start:after": ("effect", 0.05),
}
ENDING = {
    "handler.reach:before": ("effect", 0.05),
    "ledger.settle:before": ("quick", 0.0),
    "ledger.settle:after": ("failing", 0.0),
    "transaction.commit:before": ("effect", 0.0),
    "transaction.commit:after": ("effect", 0.0),
}
LEASING = {
    "ledger.beat:before": ("slow", 1.0),
    "ledger.beat:after": ("effect", 1.0),
    "ledger.release:before": ("retire", 0.3),
    "ledger.release:after": ("retire", 0.3),
    "ledger.leave:before": ("retire", 0.3),
    "ledger.leave:after": ("retire", 0.3),
}
# In this order: a worker left jobs, its first judge dies before and the second after judging it,
# the last with the jobs that it reaped.
SERVING = ("ledger.watch:after", "ledger.judge:before", "ledger.judge:after", "ledger.reap:after")
JOBS = 6


@pytest.mark.parametrize("points", [TAKING, ENDING, LEASING], ids=["taking", "ending", "leasing"])
async def test_a_worker_killed_at_each_point(
    site: Site, points: dict[str, tuple[str, float]]
) -> None:
    async with site.customer(*points) as customer:
        for point, (kind, seconds) in points.items():
            await customer.ask(kind, queue=point, seconds=seconds)
            await customer.ask("slow", JOBS, queue=point, seconds=seconds)
    armed = [worker_armed_at(site, point) for point in points]
    async with site.fleet(*armed):
        await site.reached(*points)
        await site.quiet(within=30)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
    assert verdict.summary.crash_points == dict.fromkeys(points, 1)


def worker_armed_at(site: Site, point: str) -> Role:
    """A worker of a queue of its own that dies at the point once; started anew, it lives."""
    return site.worker(f"dies at {point}", queues={point: 1}, prefetch=3, crash=f"{point}:1")


async def test_services_killed_at_each_point(site: Site) -> None:
    async with site.customer() as customer:
        await customer.ask("slow", JOBS, seconds=0.05)
    victim = site.worker("victim", queues={QUEUE: 2}, crash="hand.start:after:2")
    async with site.fleet(victim) as fleet:
        await site.reached("hand.start:after")
        await fleet.retire("victim")
        for point in SERVING:
            fleet.add(site.services(name=point, crash=f"{point}:1"))
            await site.reached(point)
            await fleet.retire(point)
        fleet.add(site.worker())
        await site.quiet(within=30)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
    assert verdict.summary.leases_lost.total() == 1


@pytest.mark.parametrize(
    "point", ["ledger.insert:before", "ledger.insert:after", "ledger.insert_in:after"]
)
async def test_a_producer_killed_at_each_point(site: Site, point: str) -> None:
    async with site.fleet(site.producer(crash=f"{point}:2"), site.worker()) as fleet:
        await site.reached(point)
        await fleet.retire("producer")
        await site.quiet(within=30)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
