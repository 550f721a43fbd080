"""Jobs of few ordering keys while everybody dies and replies are lost: one at a time, in order."""

import time
from collections import defaultdict
from itertools import pairwise

from chaos.commotion import commotion, first_starts
from chaos.history import now_ns
from chaos.site import Site
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify

SEED = 11
ENOUGH = "SELECT count(*) >= 100 FROM headrace.job"
LINES = """
    SELECT id, headers -> 'order' ->> 'key' AS key, extract(epoch FROM settled_at)::float8 AS over
    FROM headrace.job
    ORDER BY (headers -> 'order' ->> 'seq')::bigint
"""


async def test_a_key_has_one_in_flight_in_order_whoever_dies(site: Site) -> None:
    async with commotion(site, ("ordered",), seed=SEED) as fleet:
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
    began = first_starts(site)
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
