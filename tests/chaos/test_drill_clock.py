"""The clock of a host is stepped by an hour while its workers run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.drill import Size, drill
from chaos.events import LeaseLost
from chaos.fleet import Role
from chaos.processes.tasks import QUEUE
from chaos.site import Mode, Site
from chaos.wallclock import wall_clock

DELAY = 2.0  # seconds
TIMED = "timed"  # a queue without a backlog
EARLY = (
    "SELECT id, run_at, started_at FROM headrace.job WHERE id = ANY ($1) AND started_at < run_at"
)
OVER = "SELECT NOT EXISTS (SELECT FROM headrace.job WHERE id = ANY ('{{{ids}}}') AND state < 2)"
CRASHES = "SELECT sum(crashes) FROM headrace.job"


def roles(site: Site) -> Sequence[Role]:
    """All of one host."""
    queues = {QUEUE: 10, TIMED: 10}
    return site.worker(processes=2, queues=queues), site.producer(), site.services()


@pytest.mark.parametrize(
    "site", [Mode.HYBRID, pytest.param(Mode.DIRECT, marks=pytest.mark.chaos_long)], indirect=True
)
async def test_the_wall_clock_of_a_host_is_stepped(site: Site, tmp_path: Path, size: Size) -> None:
    clock = wall_clock(tmp_path)
    size = replace(size, lease=None)  # a busy machine shall not look like a clock
    name = f"wall clock stepped by an hour in {site.mode} mode"
    async with (
        drill(name, clock.rules(site), size, within=5.0, roles=roles) as going,
        going.site.customer(TIMED) as customer,
    ):
        for offset in ("+3600", "-3600") * size.rounds:
            delayed = [job.id for job in await customer.ask("quick", 20, queue=TIMED, delay=DELAY)]
            going.strike(f"{offset} s")
            clock.step(offset)
            await going.recover()
            await going.flow()
            await site.ledger_says(OVER.format(ids=",".join(map(str, delayed))))
            async with site.connection() as connection:
                assert not await connection.fetch(EARLY, delayed)
            assert abs(clock.off() - float(offset)) < 60
        lost = [one for one in site.events() if isinstance(one, LeaseLost) and one.cause != "epoch"]
        assert not lost, lost
        async with site.connection() as connection:
            assert await connection.fetchval(CRASHES) == 0
