"""The gate: random faults on real processes and a real server while jobs of all kinds flow."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from chaos.dialects import PostgresDialect, RedisDialect
from chaos.faultplan import Fault, PlannedFault, kill, plan, stop
from chaos.fleet import Fleet
from chaos.proxy import Proxy
from chaos.serverfaults import REPLIES, faults_of_postgres, faults_of_the_way
from chaos.site import SHORT_LEASE, Mode, Site
from chaos.traces import told
from chaos.valkeyfaults import REPLIES as LANE_REPLIES
from chaos.valkeyfaults import faults_of_valkey
from headrace.embedded import EmbeddedPostgres, EmbeddedValkey
from headrace.ledger.migrate import migrate
from model.replay import replay
from servers import ROOMY, postgres_from, postgres_template

JOBS = 5000
KILLS = 60
SEED = 20
SECONDS = 45.0
LONG_SECONDS = 1200.0  # between faults, each of which takes its time, too
MEAN_GAP = 0.33
QUIET_WITHIN = 60.0
ENOUGH = f"SELECT count(*) >= {JOBS} FROM headrace.job"


@pytest.fixture
def server(shared_directory: Path, server_directory: Path) -> Iterator[EmbeddedPostgres]:
    """A durable server that keeps the time of each commit, for the checker to compare."""
    template = postgres_template(shared_directory)
    settings = {**ROOMY, "track_commit_timestamp": "on"}
    with postgres_from(template, server_directory / "own", settings) as server:
        yield server


@pytest.fixture(params=list(Mode))
def lane(request: pytest.FixtureRequest) -> EmbeddedValkey | None:
    """The server of the lane, in the mode that has one."""
    if request.param is Mode.DIRECT:
        return None
    server: EmbeddedValkey = request.getfixturevalue("valkey")
    return server


@pytest.mark.timeout(2 * LONG_SECONDS + 600)
async def test_nothing_is_lost_or_doubled(
    tmp_path: Path,
    server: EmbeddedPostgres,
    lane: EmbeddedValkey | None,
    request: pytest.FixtureRequest,
) -> None:
    long = request.config.getoption("chaos_long")
    seed = time.time_ns() if long else SEED
    site = Site(tmp_path, server.url, None if lane is None else lane.url)
    await migrate(server.url)
    await site.prepare()
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy.before(server.url, PostgresDialect))
        behind = site.behind(proxy.url)
        faults = [
            *faults_of_processes(site),
            *faults_of_postgres(server),
            *faults_of_the_way(proxy, "ledger", REPLIES),
        ]
        if lane is not None:
            proxy = stack.enter_context(Proxy.before(lane.url, RedisDialect))
            behind = behind.behind_lane(proxy.url)
            faults += faults_of_valkey(lane, site)
            faults += faults_of_the_way(proxy, "lane", LANE_REPLIES)
        planned = plan(seed, faults, LONG_SECONDS if long else SECONDS, MEAN_GAP)
        roles = (behind.worker(processes=3), behind.producer(processes=2), behind.services())
        async with behind.fleet(*roles) as fleet:
            await strike(fleet, planned)
            await site.ledger_says(ENOUGH, within=60)
            await fleet.retire("producer")
            await site.quiet(within=QUIET_WITHIN)
            if lane is not None:
                await site.lane_has(0)
    verdict = await site.verdict()
    print(f"seed {seed}\n{verdict}")
    assert not verdict.violations, f"seed {seed}\n{verdict}"
    assert verdict.summary.enqueued >= JOBS
    assert verdict.summary.faults["kill"] >= KILLS
    if lane is None:
        assert replay(told(site.events())) is None, f"seed {seed}"


def faults_of_processes(site: Site) -> list[Fault]:
    """SIGKILL and SIGSTOP of those at work."""
    return [
        kill("worker", weight=20, busy=site.busy),
        kill("producer", weight=6, busy=site.busy),
        kill("services", weight=6, busy=site.busy),
        stop("worker", seconds=2 * SHORT_LEASE, weight=2, busy=site.busy),
    ]


async def strike(fleet: Fleet, planned: Sequence[PlannedFault]) -> None:
    """Let the faults strike one after the other, each when a victim is at work.

    A process that is stopped stays so beside the next faults.
    """
    async with asyncio.TaskGroup() as lasting:
        before = 0.0
        for step in planned:
            await asyncio.sleep(step.at - before)  # the pause is part of the plan
            before = step.at
            struck = lasting.create_task(_strike(fleet, step))
            if not step.fault.name.startswith("stop"):
                await struck


async def _strike(fleet: Fleet, step: PlannedFault) -> None:
    await step.fault.strike(fleet, step.draw)
