"""What the server does at best: the measures that the product is held against."""

import time
from secrets import randbits
from uuid import UUID

from headrace.bench.database import Database
from headrace.bench.tasks import FILLING

_BATCH = 1000
_PAYLOAD = f'{{"filling": "{FILLING}"}}'
_ROUND_TRIPS = 500
_INSERT_ONE = """
INSERT INTO headrace.job (id, queue_id, task, priority, max_attempts, run_at, payload)
VALUES ($1, 1, 'noop', 5, 3, now(), $2)
"""
_INSERT_MANY = """
INSERT INTO headrace.job (id, queue_id, task, priority, max_attempts, run_at, payload)
SELECT id, 1, 'noop', 5, 3, now(), payload::jsonb
FROM unnest($1::uuid[], $2::text[]) AS row (id, payload)
"""
FILL_LEAN = """
INSERT INTO lean (id, payload) SELECT id, payload::jsonb
FROM unnest($1::uuid[], $2::text[]) AS row (id, payload)
"""


async def measure_round_trip(database: Database) -> dict[str, float]:
    """Ask for nothing, again and again."""
    ask = await database.connection.ready("SELECT 1")
    began = time.perf_counter()
    for _ in range(_ROUND_TRIPS):
        await ask()
    return {"round_trip": (time.perf_counter() - began) / _ROUND_TRIPS * 1000}


async def measure_commit_loop(database: Database, n: int) -> dict[str, float]:
    """One row into our table and one commit, one after the other."""
    await database.empty()
    insert = await database.connection.ready(_INSERT_ONE)
    began = time.perf_counter()
    for _ in range(n):
        await insert(_new_id(), _PAYLOAD)
    return {"commit_loop": n / (time.perf_counter() - began)}


async def measure_batch_insert(database: Database, n: int) -> dict[str, float]:
    """Rows into our table, 1,000 a statement."""
    await database.empty()
    return {"batch_insert": await _insert_batches(database, _INSERT_MANY, n)}


async def fill_lean(database: Database, n: int) -> None:
    """A backlog for the lean worker."""
    await database.empty()
    await _insert_batches(database, FILL_LEAN, n)


async def _insert_batches(database: Database, statement: str, n: int) -> float:
    insert = await database.connection.ready(statement)
    began = time.perf_counter()
    for _ in range(0, n, _BATCH):
        await insert(_ids(), [_PAYLOAD] * _BATCH)
    return n / (time.perf_counter() - began)


def _ids() -> list[UUID]:
    return [_new_id() for _ in range(_BATCH)]


def _new_id() -> UUID:
    return UUID(int=time.time_ns() // 1_000_000 << 80 | 7 << 76 | 2 << 62 | randbits(62))
