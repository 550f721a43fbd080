"""Jobs of few ordering keys while everybody dies and replies are lost: one at a time, in order."""

import time
from collections import defaultdict
from itertools import pairwise

from chaos.dialects import PostgresDialect
from chaos.events import StartChecked
from chaos.faultplan import carry_out, kill, plan
from chaos.history import events_of, now_ns
from chaos.proxy import Proxy
from chaos.serverfaults import REPLIES, faults_of_the_way
from chaos.site import Site
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify

SEED = 11
SECONDS = 3.0
MEAN_GAP = 0.12
ENOUGH = "SELECT count(*) >= 100 FROM headrace.job"
LINES = """
    SELECT id, headers -> 'order' ->> 'key' AS key, extract(epoch FROM settled_at)::float8 AS over
    FROM headrace.job
    ORDER BY (headers -> 'order' ->> 'seq')::bigint
"""


async def test_a_key_has_one_in_flight_in_order_whoever_dies(site: Site) -> None:
    with Proxy.before(site.database_url, PostgresDialect) as proxy:
        faults = [
            kill("worker", weight=4, busy=site.busy),
            kill("producer", weight=4, busy=site.busy),
            kill("services", busy=site.busy),
            *faults_of_the_way(proxy, "ledger", REPLIES),
        ]
        behind = site.behind(proxy.url)
        roles = (
            behind.worker(processes=2),
            behind.producer(processes=3, ways=("ordered",)),
            behind.services(),
        )
        async with behind.fleet(*roles) as fleet:
            await carry_out(fleet, plan(SEED, faults, SECONDS, MEAN_GAP))
            await site.ledger_says(ENOUGH, within=60)
            await fleet.retire("producer")
            await site.quiet(within=60)
            await site.ledger_says("SELECT NOT EXISTS (SELECT FROM headrace.order_key)")
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
    assert verdict.summary.faults["kill"] >= 5
    assert await _early_starts(site) == []
    async with Queries(site.database_url) as queries:
        found = await verify(queries, quiesced=True, repair=False)
    assert {one.check.name: one.breaches for one in found if one.breaches} == {}


async def _early_starts(site: Site) -> list[tuple[str, str]]:
    """Pairs of a key's jobs, one after the other, the later of which began too early."""
    began: dict[str, int] = {}
    for start in events_of(StartChecked, site.history):
        began[start.job] = min(start.at, began.get(start.job, start.at))
    since_boot = now_ns() - time.time_ns()
    over: dict[str, int] = {}
    lines: dict[str, list[str]] = defaultdict(list)
    async with site.connection() as connection:
        for row in await connection.fetch(LINES):
            lines[row["key"]].append(str(row["id"]))
            over[str(row["id"])] = int(row["over"] * 1e9) + since_boot
    assert max(map(len, lines.values())) > 5
    return [
        (one, two)
        for line in lines.values()
        for one, two in pairwise(line)
        if two in began and began[two] < over[one]
    ]
