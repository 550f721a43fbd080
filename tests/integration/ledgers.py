"""What tests of the ledger say again and again."""

from typing import Any
from uuid import uuid4

import asyncpg

from headrace.ledger.postgres import PostgresLedger
from headrace.model.job import Delivery, NewJob, Settlement
from headrace.model.priority import STRIDES, Shares
from headrace.model.state import Stored
from headrace.ports.lane import LEASE

Worker = Any


def new_job(ledger: PostgresLedger, **changes: Any) -> NewJob:
    return NewJob(**{"id": ledger.new_id(), "task": "t", "queue": "q", "payload": b"{}", **changes})


async def add(ledger: PostgresLedger, n: int = 1, **changes: Any) -> list[NewJob]:
    jobs = [new_job(ledger, **changes) for _ in range(n)]
    await ledger.insert(jobs)
    return jobs


async def hire(ledger: PostgresLedger, lease: float = LEASE) -> Worker:
    worker = uuid4()
    await ledger.register(worker, "host", 1, {"q": 1}, lease)
    return worker


async def claim(
    ledger: PostgresLedger, worker: Worker, n: int = 1, call: int = 1
) -> list[Delivery]:
    return await ledger.claim(worker, "q", call, n, (Shares().passes(), STRIDES))


def settlement(delivery: Delivery, state: Stored = Stored.COMPLETED, **changes: Any) -> Settlement:
    return Settlement(id=delivery.id, gen=delivery.gen, state=state, **changes)


async def stored(sql: asyncpg.Connection) -> int:
    count: int = await sql.fetchval("SELECT count(*) FROM headrace.job")
    return count


async def wipe(sql: asyncpg.Connection) -> None:
    """Forget all jobs and workers; queues stay, as if new, and nobody uses a lane."""
    await sql.execute(
        "DELETE FROM headrace.job; DELETE FROM headrace.job_event; "
        "DELETE FROM headrace.idempotency; DELETE FROM headrace.worker; "
        "DELETE FROM headrace.rate_limit; DELETE FROM headrace.subscription; "
        "DELETE FROM headrace.wake; DELETE FROM headrace.blocked; DELETE FROM headrace.edge; "
        "DELETE FROM headrace.order_key; DELETE FROM headrace.order_place; "
        "DELETE FROM headrace.flow; DELETE FROM headrace.flow_job; "
        "DELETE FROM headrace.concurrency_limit; DELETE FROM headrace.line; "
        "DELETE FROM headrace.seat_group; DELETE FROM headrace.seat; "
        "DELETE FROM headrace.seat_mark; UPDATE headrace.task SET key_defaults = NULL; "
        "DELETE FROM headrace.counter; DELETE FROM headrace.counter_delta; "
        "UPDATE headrace.queue SET paused = false, promise = NULL, max_depth = NULL, "
        "depth_overridden = false WHERE paused OR promise IS NOT NULL OR depth_overridden "
        "OR max_depth IS NOT NULL; "
        "DELETE FROM headrace.leader; DELETE FROM headrace.schedule; "
        "DELETE FROM headrace.schedule_event; "
        "UPDATE headrace.lane SET mode = 'direct', held = false, calm = true, fence = NULL"
    )
