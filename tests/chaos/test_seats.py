"""All kinds of jobs in a line of four seats: everybody dies, replies are lost, the mode changes."""

from collections.abc import Iterator

from chaos.commotion import commotion
from chaos.events import RunEnded, StartChecked
from chaos.history import events_of
from chaos.lanewatch import close_lane
from chaos.processes.tasks import QUEUE
from chaos.site import Site
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify
from headrace.model.concurrency import ConcurrencyLimit, LineRule, LinesSaid

SEED = 23
SEATS = ConcurrencyLimit("narrow", 4)
WAYS = ("many", "transaction", "unique", "ordered", "flows")
ENOUGH = "SELECT count(*) >= 100 FROM headrace.job"
SETTLED = "SELECT id, settled_gen FROM headrace.job WHERE state = 2"


async def test_no_more_run_than_there_are_seats_whoever_dies(site: Site) -> None:
    await _limit(site)
    async with commotion(site, WAYS, seed=SEED) as fleet:
        if site.redis_url is not None:
            await close_lane(site.database_url, site.redis_url)  # who has a seat is in it
        await site.ledger_says(ENOUGH, within=60)
        await fleet.retire("producer")
        await site.quiet(within=90)
        await site.ledger_says("SELECT NOT EXISTS (SELECT FROM headrace.seat)")
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
    assert verdict.summary.faults["kill"] >= 5
    async with Queries(site.database_url) as queries:
        found = await verify(queries, quiesced=True, repair=False)
    assert {one.check.name: one.breaches for one in found if one.breaches} == {}
    at_once = list(_at_once(await _steps(site)))
    assert 1 < max(at_once) <= SEATS.width


async def _limit(site: Site) -> None:
    """Only the ledger knows of it: no process that enqueues or works does."""
    ledger = PostgresLedger(site.database_url)
    await ledger.open()
    await ledger.declare((), [QUEUE])
    rule = LineRule.of(SEATS, queue=QUEUE)
    said = LinesSaid(limits={SEATS.name: SEATS.width}, queues=(QUEUE,), rules=(rule,))
    await ledger.limiter.seats.declare(said)
    await ledger.close()


async def _steps(site: Site) -> list[tuple[int, int]]:
    """When runs began (+1) and ended (-1), of those that completed their job.

    Others may be those of workers that were taken for dead, who run on beside whoever came next.
    """
    async with site.connection() as connection:
        rows = await connection.fetch(SETTLED)
    completed = {(str(row["id"]), row["settled_gen"]) for row in rows}
    begun = [(one, 1) for one in events_of(StartChecked, site.history)]
    over = [(one, -1) for one in events_of(RunEnded, site.history)]
    return sorted((one.at, step) for one, step in begun + over if (one.job, one.gen) in completed)


def _at_once(steps: list[tuple[int, int]]) -> Iterator[int]:
    inside = 0
    for _, step in steps:
        inside += step
        yield inside
