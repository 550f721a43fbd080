"""Flows while everybody dies and replies are lost: each join is let go once, and not before."""

import time

from chaos.commotion import commotion, first_starts
from chaos.history import now_ns
from chaos.site import Site
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify

SEED = 12
ENOUGH = "SELECT count(*) >= 20 FROM headrace.flow"
LOOKED_AT = (
    "SELECT NOT EXISTS (SELECT FROM headrace.wake) AND NOT EXISTS (SELECT FROM headrace.blocked)"
)
EDGES = """
    SELECT e.child::text, e.parent::text, e.on_failure, c.state AS child_is, p.state AS parent_is,
           extract(epoch FROM p.settled_at)::float8 AS over
    FROM headrace.edge e
    JOIN headrace.job c ON c.id = e.child
    JOIN headrace.job p ON p.id = e.parent
"""
COMPLETED, CANCELLED = 2, 4


async def test_a_join_is_let_go_once_and_not_before_whoever_dies(site: Site) -> None:
    async with commotion(site, ("flows", "one by one"), seed=SEED) as fleet:
        await site.ledger_says(ENOUGH, within=60)
        await fleet.retire("producer")
        await site.quiet(within=60)
        await site.ledger_says(LOOKED_AT)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
    assert verdict.summary.faults["kill"] >= 5
    assert await _odd_edges(site) == []
    async with Queries(site.database_url) as queries:
        found = await verify(queries, quiesced=True, repair=False)
    assert {one.check.name: one.breaches for one in found if one.breaches} == {}


async def _odd_edges(site: Site) -> list[tuple[str, str, str]]:
    """Edges whose child began before its parent was over, or did not do what its end means."""
    began = first_starts(site)
    since_boot = now_ns() - time.time_ns()
    odd = []
    async with site.connection() as connection:
        rows = await connection.fetch(EDGES)
    assert len(rows) > 100
    for row in rows:
        child, failed = row["child"], row["parent_is"] != COMPLETED
        if child in began and began[child] < int(row["over"] * 1e9) + since_boot:
            odd.append((child, row["parent"], "began before its end"))
        if failed and row["on_failure"] == "fail" and row["child_is"] != CANCELLED:
            odd.append((child, row["parent"], "did not fail with it"))
    return odd
