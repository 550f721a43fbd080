"""What each statement and script costs its server, by the servers' own accounts."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import asyncpg
from redis.asyncio import Redis

from headrace.ledger.statements import names, statement

_READ = """
SELECT query, calls, total_exec_time FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Cost(NamedTuple):
    """What one kind of call cost all in all."""

    calls: int
    seconds: float


async def prepare_accounts(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Have the server keep accounts, which it was started for."""
    await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")


async def begin_accounts(
    connection: "asyncpg.Connection[asyncpg.Record]", redis_url: str | None
) -> None:
    """Forget what was spent so far."""
    await connection.execute("SELECT pg_stat_statements_reset()")
    if redis_url is not None:
        async with Redis.from_url(redis_url) as redis:
            await redis.config_resetstat()


async def read_statements(
    connection: "asyncpg.Connection[asyncpg.Record]", texts: Mapping[str, str]
) -> dict[str, Cost]:
    """By name, of the statements with these texts; what the benchmark itself asks is left out."""
    known = {_bare(text): name for name, text in texts.items()}
    found: dict[str, Cost] = {}
    for query, calls, milliseconds in await connection.fetch(_READ):
        name = known.get(_bare(query))
        if name is not None:
            before = found.get(name, Cost(0, 0.0))
            found[name] = Cost(before.calls + calls, before.seconds + milliseconds / 1000)
    return found


async def read_scripts(redis_url: str) -> Cost:
    """All scripts: the lane's server does not tell them apart."""
    async with Redis.from_url(redis_url) as redis:
        told = await redis.info("commandstats")
    calls = [told[key] for key in ("cmdstat_evalsha", "cmdstat_eval") if key in told]
    return Cost(sum(one["calls"] for one in calls), sum(one["usec"] for one in calls) / 1e6)


def ledger_statements() -> dict[str, str]:
    """The texts of all statements of the ledger."""
    return {name: statement(name) for name in names()}


def _bare(text: str) -> str:
    """A statement without comments, spaces and constants, for which the server writes $n."""
    constants = r"\s+|'[^']*'|-|\$?\b\d+(\.\d+)?\b|\b(?:true|false|null|epoch)\b"
    return re.sub(constants, "", re.sub(r"--[^\n]*", "", text), flags=re.IGNORECASE)
