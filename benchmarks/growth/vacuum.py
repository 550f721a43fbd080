"""What a drain leaves behind, by settings of the tables: `python -m benchmarks.growth.vacuum`.

Autovacuum looks every five seconds here instead of every minute, so that a drain of half a minute
shows what hours would.
"""

import argparse
import asyncio
import sys
from pathlib import Path

import asyncpg
from rich.console import Console

from benchmarks.growth.measure import settled_backlog
from benchmarks.growth.plan import QUEUES, Plan, Point
from benchmarks.growth.servers import POSTGRES_SETTINGS, running_servers
from benchmarks.peers.tables import markdown_table, number

_OURS = (
    "autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor, "
    "autovacuum_analyze_scale_factor, autovacuum_vacuum_cost_delay"
)
VARIANTS = {
    "as migrated": None,
    "the server's defaults": f"RESET ({_OURS})",
    "no autovacuum": "SET (autovacuum_enabled = off)",
    "fillfactor 90": "SET (fillfactor = 90)",
    "fillfactor 80": "SET (fillfactor = 80)",
    "fillfactor 70": "SET (fillfactor = 70)",
}
_PARTITIONS = """
SELECT relid::regclass::text FROM pg_partition_tree('headrace.job') WHERE isleaf
"""
_LEFT = """
SELECT sum(n_dead_tup)::float8 / $1 AS dead,
       sum(n_tup_hot_upd)::float8 / sum(n_tup_upd) AS hot,
       sum(autovacuum_count)::float8 AS vacuums,
       sum(pg_table_size(relid))::float8 / $1 AS heap,
       sum(pg_indexes_size(relid))::float8 / $1 AS indexes
FROM pg_stat_user_tables WHERE schemaname = 'headrace' AND relname ~ '^job_(default|[0-9]{8})$'
"""
_HEAD = [
    "settings of the partitions",
    "PostgreSQL CPU, us/job",
    "pages/job",
    "WAL, bytes/job",
    "dead rows/job",
    "HOT updates",
    "vacuums",
    "heap, bytes/job",
    "indexes, bytes/job",
]


async def compare(scratch: Path, jobs: int) -> str:
    """A row of a table for each variant."""
    console, rows = Console(stderr=True), []
    plan = Plan("vacuum", jobs, 0, 0.0, {})
    settings = {**POSTGRES_SETTINGS, "autovacuum_naptime": "5s"}
    async with running_servers(scratch, settings) as servers:
        for name, change in VARIANTS.items():
            console.print(name)
            await servers.renew(0)
            sql = await asyncpg.connect(servers.database_url)
            try:
                for row in await sql.fetch(_PARTITIONS) if change else ():
                    await sql.execute(f"ALTER TABLE {row[0]} {change}")
                figures = await settled_backlog(servers, plan, Point("direct", QUEUES, 1))
                await asyncio.sleep(2)  # for the statistics of who just ended
                left = await sql.fetchrow(_LEFT, float(jobs))
            finally:
                await sql.close()
            assert left is not None
            cells = [figures[one] for one in ("postgres_cpu", "pages", "wal")]
            rows.append([name, *(number(value) for value in (*cells, *left))])
    return markdown_table(_HEAD, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.growth.vacuum", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200_000)
    parser.add_argument("--scratch", type=Path, default=Path(".headrace/growth"))
    given = parser.parse_args()
    given.scratch.mkdir(parents=True, exist_ok=True)
    print(asyncio.run(compare(given.scratch, given.jobs)))
    sys.exit(0)
