"""Short runs in which everybody dies and replies are lost while jobs of some kinds are enqueued."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from chaos.dialects import PostgresDialect
from chaos.events import StartChecked
from chaos.faultplan import Fault, carry_out, kill, plan
from chaos.fleet import Fleet
from chaos.history import events_of
from chaos.proxy import Proxy
from chaos.serverfaults import REPLIES, faults_of_the_way
from chaos.site import Site

SECONDS = 3.0
MEAN_GAP = 0.12


@asynccontextmanager
async def commotion(
    site: Site, ways: Sequence[str], *, seed: int, live: int = 300, more: Sequence[Fault] = ()
) -> AsyncIterator[Fleet]:
    """Workers, producers that enqueue in these ways, and services, after all faults, and `more`."""
    with Proxy.before(site.database_url, PostgresDialect) as proxy:
        faults = [
            kill("worker", weight=4, busy=site.busy),
            kill("producer", weight=4, busy=site.busy),
            kill("services", busy=site.busy),
            *faults_of_the_way(proxy, "ledger", REPLIES),
            *more,
        ]
        behind = site.behind(proxy.url)
        roles = (
            behind.worker(processes=2),
            behind.producer(processes=3, ways=ways, live=live),
            behind.services(),
        )
        async with behind.fleet(*roles) as fleet:
            await carry_out(fleet, plan(seed, faults, SECONDS, MEAN_GAP))
            yield fleet


def first_starts(site: Site) -> Mapping[str, int]:
    """When each job began first, on the clock of the history (ns)."""
    began: dict[str, int] = {}
    for start in events_of(StartChecked, site.history):
        began[start.job] = min(start.at, began.get(start.job, start.at))
    return began
