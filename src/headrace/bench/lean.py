"""The bare worker that drains set the measure with: no heartbeat, retries, fences or events."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import asyncpg
import msgspec

CLAIM = """
WITH due AS (SELECT id FROM lean WHERE state = 0 AND owner IS NULL AND run_at <= now()
             ORDER BY run_at, id LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED)
UPDATE lean SET owner = $1 FROM due WHERE lean.id = due.id RETURNING lean.id, payload::text
"""
COMPLETE = "UPDATE lean SET state = 2, owner = NULL, done_at = now() WHERE id = ANY($1)"
_Batch = Sequence[asyncpg.Record]


async def run_lean(url: str) -> None:
    """Claim 100, run them, complete them, until nothing is there."""
    async with asyncpg.create_pool(url, min_size=2, max_size=2, server_settings=_PLANS) as pool:
        batches: asyncio.Queue[_Batch] = asyncio.Queue(3)
        await asyncio.gather(_claim(pool, batches), _run(pool, batches))


_PLANS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}


async def _claim(pool: "asyncpg.Pool[asyncpg.Record]", batches: asyncio.Queue[_Batch]) -> None:
    worker = uuid4()
    batch: _Batch = [*await pool.fetch(CLAIM, worker)]
    while batch:
        await batches.put(batch)
        batch = await pool.fetch(CLAIM, worker)
    await batches.put([])


async def _run(pool: "asyncpg.Pool[asyncpg.Record]", batches: asyncio.Queue[_Batch]) -> None:
    decode = msgspec.json.Decoder().decode
    while batch := await batches.get():
        done: list[UUID] = []
        for job in batch:
            await _handle(**decode(job["payload"]))
            done.append(job["id"])
        await pool.execute(COMPLETE, done)


async def _handle(filling: str) -> None:
    pass
