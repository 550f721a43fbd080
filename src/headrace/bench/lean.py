"""The bare worker that drains set the measure with: no heartbeat, retries, fences or events."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID, uuid4

import asyncpg
import msgspec

from headrace.config import read_settings

CLAIM = """
WITH due AS (SELECT id FROM lean WHERE state = 0 AND owner IS NULL AND run_at <= now()
             ORDER BY run_at, id LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED)
UPDATE lean SET owner = $1 FROM due WHERE lean.id = due.id RETURNING lean.id, payload::text
"""
COMPLETE = "UPDATE lean SET state = 2, owner = NULL, done_at = now() WHERE id = ANY($1)"
_Batch = Sequence[asyncpg.Record]


async def run_lean(url: str) -> None:
    """Claim 100, run them, complete them, until nothing is there."""
    prepared = read_settings({}).prepared_statements
    async with asyncpg.create_pool(
        url,
        min_size=2,
        max_size=2,
        server_settings=_PLANS if prepared else {},
        statement_cache_size=100 if prepared else 0,
    ) as pool:
        batches: asyncio.Queue[_Batch] = asyncio.Queue(3)
        way = _Way(pool, prepared)
        await asyncio.gather(_claim(way, batches), _run(way, batches))


_PLANS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
_LOCAL_PLANS = "; ".join(f"SET LOCAL {name} = {value}" for name, value in _PLANS.items())


class _Way(NamedTuple):
    """To the table; where nothing is prepared each statement is a transaction with its settings."""

    pool: "asyncpg.Pool[asyncpg.Record]"
    prepared: bool

    async def fetch(self, statement: str, parameter: object) -> _Batch:
        if self.prepared:
            return await self.pool.fetch(statement, parameter)
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCAL_PLANS)
            return await connection.fetch(statement, parameter)


async def _claim(way: _Way, batches: asyncio.Queue[_Batch]) -> None:
    worker = uuid4()
    batch: _Batch = [*await way.fetch(CLAIM, worker)]
    while batch:
        await batches.put(batch)
        batch = await way.fetch(CLAIM, worker)
    await batches.put([])


async def _run(way: _Way, batches: asyncio.Queue[_Batch]) -> None:
    decode = msgspec.json.Decoder().decode
    while batch := await batches.get():
        done: list[UUID] = []
        for job in batch:
            await _handle(**decode(job["payload"]))
            done.append(job["id"])
        await way.fetch(COMPLETE, done)


async def _handle(filling: str) -> None:
    pass
