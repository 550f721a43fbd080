"""An engine under test, what surrounds it, and short words for its verbs."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

import asyncpg
import pytest

from headrace.model.entry import Capabilities
from headrace.model.job import Beat, Delivery, Ending, Inserted, Job, NewJob, Token
from headrace.model.task import Declaration
from headrace.model.verdict import completed, describe, failed
from headrace.ports.engine import Engine
from headrace.ports.inspector import Inspector
from headrace.ports.lane import LEASE

QUEUE = "mail"
OTHER = "other"
TASK = "send"


def completion(delivery: Delivery, result: str | None = None) -> Ending:
    """An attempt that is done."""
    return Ending(delivery, completed(delivery, result, 0.5))


def failure(delivery: Delivery, *, delay: float = 0.0) -> Ending:
    """An attempt that failed, to be tried again after so many seconds."""
    error = describe("ValueError", "boom")
    return Ending(delivery, failed(delivery, error, 0.5, timedelta(seconds=delay)))


def tokens(deliveries: Iterable[Delivery]) -> set[Token]:
    """What names these runs."""
    return {one.token for one in deliveries}


class Surroundings(Protocol):
    """What happens around an engine, under the control of a test."""

    capabilities: Capabilities
    inspector: Inspector

    async def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass for the jobs and keys that wait; nobody's lease is touched."""

    async def carry(self) -> None:
        """Bring whatever is due to where a take finds it; nothing to do without a lane."""

    async def lose_lane(self) -> None:
        """Let what carries jobs lose all that it has; it is built anew. Nothing without a lane."""

    async def bury(self, worker: UUID, living: Collection[UUID]) -> None:
        """Let a worker be silent for a whole lease, and what it had be given back.

        The living beat meanwhile, without naming anything.
        """

    def connection(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A connection to the ledger's database that is not the engine's."""


class Rig:
    """An engine with the workers `ann` and `bob`, the queues `QUEUE` and `OTHER` and a task."""

    def __init__(self, engine: Engine, around: Surroundings) -> None:
        self.engine = engine
        self.around = around
        self.ann: UUID = uuid4()
        self.bob: UUID = uuid4()
        self._living: set[UUID] = set()
        self._calls: dict[UUID, int] = {}

    def needs_a_database(self) -> None:
        """Skip the test where the engine declares that it has none."""
        if not self.around.capabilities.database:
            pytest.skip("the engine declares that it has no database")

    async def begin(self) -> None:
        """Declare what there is and register both workers; the engine is started."""
        task = Declaration(name=TASK, queue=QUEUE, priority=5, max_attempts=3)
        await self.engine.declare([task], [OTHER])
        for worker in (self.ann, self.bob):
            await self.hire(worker)

    async def hire(self, worker: UUID | None = None) -> UUID:
        """Register a worker."""
        who = worker or uuid4()
        await self.engine.register(who, "here", 1, {QUEUE: 4, OTHER: 2}, LEASE)
        self._living.add(who)
        await self.engine.beat(who, [], 0)
        return who

    def job(self, **fields: Any) -> NewJob:  # noqa: ANN401 - tests pass fields by name
        """A new job; `fields` as in `NewJob`."""
        given: dict[str, Any] = {
            "id": self.engine.new_id(),
            "task": TASK,
            "queue": QUEUE,
            "payload": b'{"to": "a"}',
            **fields,
        }
        return NewJob(**given)

    async def insert(self, n: int = 1, **fields: Any) -> list[UUID]:  # noqa: ANN401 - as above
        """Insert jobs that are alike."""
        jobs = [self.job(**fields) for _ in range(n)]
        assert await self.engine.insert(jobs) == [Inserted(job.id) for job in jobs]
        return [job.id for job in jobs]

    async def take(
        self,
        n: int = 10,
        *,
        worker: UUID | None = None,
        queue: str = QUEUE,
        ahead: bool = False,
    ) -> list[Delivery]:
        """Take under the worker's next call; by `ann` if nobody is named."""
        who = worker or self.ann
        await self.around.carry()
        call = self._calls[who] = self._calls.get(who, 0) + 1
        return (await self.engine.take(who, queue, call, n, ahead=ahead)).deliveries

    async def charge(self, delivery: Delivery) -> None:
        """Let what `ann` took ahead with this delivery count as started."""
        await self.engine.charge(self.ann, delivery.queue, delivery.call)

    async def given(self, **fields: Any) -> Delivery:  # noqa: ANN401 - as above
        """A new job in the hands of `ann`."""
        (job_id,) = await self.insert(**fields)
        (delivery,) = await self.take()
        assert delivery.id == job_id
        return delivery

    async def settle(self, *endings: Ending, worker: UUID | None = None) -> set[Token]:
        """Settle; by `ann` if nobody is named."""
        return await self.engine.settle(worker or self.ann, endings)

    async def complete(
        self, deliveries: Sequence[Delivery], *, worker: UUID | None = None
    ) -> set[Token]:
        """Settle as completed, without a result."""
        return await self.settle(*map(completion, deliveries), worker=worker)

    async def beat(
        self, worker: UUID, hand: Sequence[Delivery] = (), *, answered: int | None = None
    ) -> Beat:
        """Beat, with every call answered if nothing else is said."""
        last = self._calls.get(worker, 0) if answered is None else answered
        return await self.engine.beat(worker, hand, last)

    async def bury(self, worker: UUID) -> None:
        """Let a worker be taken for dead."""
        self._living.discard(worker)
        await self.around.bury(worker, self._living)

    async def get(self, job_id: UUID) -> Job:
        """A job as it is now."""
        (job,) = await self.engine.get([job_id])
        return job
