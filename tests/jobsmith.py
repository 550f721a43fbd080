"""A migrated ledger with jobs in every state, made through the ledger's own verbs."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

from headrace.ledger.migrate import migrate
from headrace.ledger.postgres import PostgresLedger
from headrace.model.job import Delivery, NewJob, Settlement, Token
from headrace.model.priority import STRIDES, Shares
from headrace.model.state import Stored
from headrace.model.task import Declaration
from headrace.ports.lane import LEASE

BOOM = json.dumps({"type": "ValueError", "message": "Boom 50% at host_1"})


class Jobsmith:
    """A ledger with one worker, and short words for what tests do with it."""

    def __init__(self, url: str, ledger: PostgresLedger) -> None:
        self.url = url
        self.ledger = ledger
        self.worker = uuid4()

    async def insert(self, n: int = 1, **fields: object) -> list[UUID]:
        jobs = [self.job(**fields) for _ in range(n)]
        await self.ledger.insert(jobs)
        return [job.id for job in jobs]

    def job(self, **fields: object) -> NewJob:
        values = {"task": "work", "queue": "main", "payload": b"{}", **fields}
        return NewJob(id=self.ledger.new_id(), **values)  # type: ignore[arg-type]  # tests pass fields by name

    async def claim(self, n: int = 1, queue: str = "main") -> list[Delivery]:
        return await self.ledger.claim(self.worker, queue, 1, n, (Shares().passes(), STRIDES))

    async def settle(
        self, deliveries: list[Delivery], state: Stored, **fields: object
    ) -> set[Token]:
        settlements = [
            Settlement(id=one.id, gen=one.gen, state=state, **fields)  # type: ignore[arg-type]  # as above
            for one in deliveries
        ]
        return await self.ledger.settle(self.worker, settlements)

    async def complete(self, n: int = 1, **fields: object) -> list[UUID]:
        ids = await self.insert(n, **fields)
        await self.settle(await self.claim(n, str(fields.get("queue", "main"))), Stored.COMPLETED)
        return ids

    async def die(self, n: int = 1, **fields: object) -> list[UUID]:
        ids = await self.insert(n, **fields)
        claimed = await self.claim(n, str(fields.get("queue", "main")))
        await self.settle(claimed, Stored.DEAD, failed=True, error=BOOM)
        return ids

    async def fail(self, n: int = 1) -> list[UUID]:
        """Jobs that wait for their second attempt."""
        ids = await self.insert(n)
        await self.settle(await self.claim(n), Stored.LIVE, failed=True, delay=3600.0, error=BOOM)
        return ids


@asynccontextmanager
async def smith_at(url: str) -> AsyncIterator[Jobsmith]:
    """A jobsmith on an empty database."""
    await migrate(url)
    ledger = PostgresLedger(url)
    await ledger.open()
    try:
        work = Declaration(name="work", queue="main", priority=5, max_attempts=3)
        await ledger.declare([work], ["other"])
        smith = Jobsmith(url, ledger)
        await ledger.register(smith.worker, "here", 1, {"main": 3, "other": 2}, LEASE)
        yield smith
    finally:
        await ledger.close()


HOUR = timedelta(hours=1)
