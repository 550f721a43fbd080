"""The runner itself as a producer."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from chaos.events import EnqueueReturned
from chaos.history import History
from chaos.processes.tasks import QUEUE
from headrace import Headrace, JobHandle
from headrace.engines.ledgered import LedgeredEngine


@dataclass(frozen=True)
class Customer:
    """Enqueues jobs from the runner."""

    app: Headrace
    history: History
    orders: Iterator[int] = field(default_factory=count)

    async def ask(
        self,
        kind: str,
        jobs: int = 1,
        *,
        queue: str = QUEUE,
        seconds: float = 0.0,
        delay: float = 0.0,
    ) -> list[JobHandle[object]]:
        """Enqueue jobs of one kind that take so long, due after so many seconds."""
        task = self.app.tasks[kind].options(queue=queue, delay=timedelta(seconds=delay))
        orders = [f"{queue} {next(self.orders)}" for _ in range(jobs)]
        handles = await self.app.enqueue_many([task.job(one, seconds) for one in orders])
        for handle in handles:
            self.history.append(EnqueueReturned(job=str(handle.id)))
        await self._put_through()
        return handles

    async def _put_through(self) -> None:
        """Wait for the puts behind the inserts; what had not left yet would be the relay's."""
        engine = self.app.engine
        assert isinstance(engine, LedgeredEngine)
        while engine.lane is not None and engine._through._flight is not None:
            await asyncio.wait([engine._through._flight])
