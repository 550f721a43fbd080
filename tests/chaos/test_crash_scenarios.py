"""SIGKILL at each named point: each is reached for certain, and nothing is lost or doubled."""

import pytest

from chaos import lanewatch
from chaos.fleet import Role
from chaos.processes.tasks import QUEUE
from chaos.site import Mode, Site

Points = dict[str, tuple[str, float]]
HOLDING: Points = {
    "ledger.register:after": ("quick", 0.0),
    "hand.book:before": ("slow", 0.05),
    "hand.book:after": ("once", 0.05),
    "hand.start:before": ("slow", 0.05),
    "hand.start:after": ("effect", 0.05),
}
TAKING: dict[Mode, Points] = {
    Mode.DIRECT: {
        "ledger.claim:before": ("quick", 0.0),
        "ledger.claim:after": ("quick", 0.0),
        **HOLDING,
    },
    Mode.HYBRID: {
        "lane.beat:before": ("quick", 0.0),
        "lane.beat:after": ("quick", 0.0),
        "lane.take:before": ("quick", 0.0),
        "lane.take:after": ("slow", 0.05),
        "lanes.stale:before": ("failing", 0.0),
        "lanes.stale:after": ("failing", 0.0),
        "lanes.claim_known:before": ("once", 0.05),
        "lanes.claim_known:after": ("once", 0.05),
        **HOLDING,
    },
}
ENDING: Points = {
    "handler.reach:before": ("effect", 0.05),
    "ledger.settle:before": ("quick", 0.0),
    "ledger.settle:after": ("failing", 0.0),
    "transaction.commit:before": ("effect", 0.0),
    "transaction.commit:after": ("effect", 0.0),
}
BEATING: Points = {
    "ledger.beat:before": ("slow", 1.0),
    "ledger.beat:after": ("effect", 1.0),
    "ledger.leave:before": ("retire", 0.3),
    "ledger.leave:after": ("retire", 0.3),
}
LEASING: dict[Mode, Points] = {
    Mode.DIRECT: {
        "ledger.release:before": ("retire", 0.3),
        "ledger.release:after": ("retire", 0.3),
        **BEATING,
    },
    Mode.HYBRID: {
        "lane.reassert:before": ("slow", 1.0),  # the first beat of a process
        "lane.reassert:after": ("effect", 1.0),
        "lane.release:before": ("retire", 0.3),
        "lane.release:after": ("retire", 0.3),
        "lane.ack:before": ("retire", 0.3),
        "lane.ack:after": ("retire", 0.3),
        "lane.leave:before": ("retire", 0.3),
        "lane.leave:after": ("retire", 0.3),
        **BEATING,
    },
}
GROUPS = [
    pytest.param(mode, points, id=f"{name}-{mode}")
    for name, group in (
        ("taking", TAKING),
        ("ending", dict.fromkeys(Mode, ENDING)),
        ("leasing", LEASING),
    )
    for mode, points in group.items()
]
# In this order: a worker left jobs, its first judge dies before and the second after judging it,
# the last with the jobs that it reaped.
JUDGING = ("ledger.watch:after", "ledger.judge:before", "ledger.judge:after", "ledger.reap:after")
# One relay after the other finds what expired, raises its generation, and mends the lane.
MENDING = (
    "lane.expired:before",
    "lane.expired:after",
    "lanes.bump:before",
    "lanes.bump:after",
    "lanes.standing:after",
    "lane.drop:before",
    "lane.drop:after",
    "lane.put:before",
)
# One after the other finds that the lane is gone, and builds it a step further.
REBUILDING = (
    "lanes.switch:before",
    "lanes.switch:after",
    "lane.open_epoch:before",
    "lane.open_epoch:after",
    "lanes.fence:before",
    "lanes.fence:after",
    "lanes.snapshot:after",
    "lanes.walk:after",
    "lane.put:after",
    "lanes.sweep:before",
    "lanes.sweep:after",
    "lanes.calm:before",
    "lanes.calm:after",
)
# Told by its beat that the lane is off, a worker tells the ledger what it runs.
ADOPTING = ("lanes.adopt:before", "lanes.adopt:after")
PRODUCING = ["ledger.insert:before", "ledger.insert:after", "ledger.insert_in:after"]
PUTTING = ["lane.put:before", "lane.put:after"]
JOBS = 6
hybrid = pytest.mark.parametrize("site", [Mode.HYBRID], indirect=True)


@pytest.mark.parametrize(("site", "points"), GROUPS, indirect=["site"])
async def test_a_worker_killed_at_each_point(site: Site, points: Points) -> None:
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


@pytest.mark.parametrize("site", [Mode.DIRECT], indirect=True)
async def test_judges_killed_at_each_point(site: Site) -> None:
    async with site.customer() as customer:
        await customer.ask("slow", JOBS, seconds=0.05)
    victim = site.worker("victim", queues={QUEUE: 2}, crash="hand.start:after:2", alone=True)
    await run_after(site, victim, "hand.start:after", JUDGING)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
    assert verdict.summary.leases_lost.total() == 1


@hybrid
async def test_relays_killed_at_each_point_of_mending(site: Site) -> None:
    """The victim has settled a job, whose entry is to go, and holds others, which are to run."""
    async with site.customer() as customer:
        await customer.ask("quick")
        await customer.ask("slow", JOBS, seconds=0.3)
    victim = site.worker(
        "victim", queues={QUEUE: 2}, prefetch=2, crash="ledger.settle:after:1", alone=True
    )
    await run_after(site, victim, "ledger.settle:after", MENDING)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
    assert verdict.summary.leases_lost["bumped"] > 0


@hybrid
async def test_relays_killed_at_each_point_of_a_rebuild(site: Site) -> None:
    async with site.customer() as customer:
        await customer.ask("slow", JOBS, seconds=0.05)
    victim = site.worker("victim", queues={QUEUE: 2}, crash="hand.start:after:2", alone=True)
    await run_after(site, victim, "hand.start:after", REBUILDING, flushed=True)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
    assert verdict.summary.leases_lost["epoch"] > 0


@hybrid
async def test_a_worker_killed_when_the_lane_is_switched_off(site: Site) -> None:
    async with site.customer(*ADOPTING) as customer:
        for point in ADOPTING:
            await customer.ask("slow", JOBS, queue=point, seconds=1.0)
    armed = [worker_armed_at(site, point) for point in ADOPTING]
    async with site.fleet(*armed):
        await site.started(len(ADOPTING))
        assert site.redis_url is not None
        await lanewatch.close_lane(site.database_url, site.redis_url)
        await site.reached(*ADOPTING)
        await site.quiet(within=30)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)


async def run_after(
    site: Site, victim: Role, death: str, points: tuple[str, ...], *, flushed: bool = False
) -> None:
    """Let one services process after the other die at its point; then workers do the rest."""
    async with site.fleet(victim) as fleet:
        await site.reached(death)
        await fleet.retire(victim.name)
        if flushed:
            await site.flush()
        for point in points:
            fleet.add(site.services(name=point, crash=f"{point}:1"))
            await site.reached(point)
            await fleet.retire(point)
        fleet.add(site.worker())
        await site.quiet(within=30)


@pytest.mark.parametrize(
    ("site", "point"),
    [
        *((mode, point) for point in PRODUCING for mode in Mode),
        *((Mode.HYBRID, point) for point in PUTTING),
    ],
    indirect=["site"],
)
async def test_a_producer_killed_at_each_point(site: Site, point: str) -> None:
    async with site.fleet(site.producer(crash=f"{point}:2"), site.worker()) as fleet:
        await site.reached(point)
        await fleet.retire("producer")
        await site.quiet(within=30)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
