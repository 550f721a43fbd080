"""Who waits for which queue of a memory lane."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID


@dataclass(slots=True, eq=False)
class _Wait:
    worker: UUID
    queues: Sequence[str]
    woken: "asyncio.Future[str | None]"


class Waits:
    """At most one token a queue: it wakes one worker, who passes it on if it leaves something."""

    def __init__(self) -> None:
        self._tokens: set[str] = set()
        self._nudged: set[UUID] = set()
        self._waits: list[_Wait] = []

    def wake(self, queue: str) -> None:
        """Wake one that waits for a queue, or the next that does."""
        for one in self._waits:
            if queue in one.queues:
                self._end(one, queue)
                return
        self._tokens.add(queue)

    def forget(self, queue: str) -> None:
        """Nothing is left to be woken for."""
        self._tokens.discard(queue)

    def nudge(self, worker: UUID) -> None:
        """End a worker's wait, or its next one."""
        for one in self._waits:
            if one.worker == worker:
                self._end(one, None)
                return
        self._nudged.add(worker)

    async def wait(self, worker: UUID, queues: Sequence[str], seconds: float) -> str | None:
        """The queue that wakes the worker, or None."""
        for queue in queues:
            if queue in self._tokens:
                self._tokens.discard(queue)
                return queue
        if worker in self._nudged:
            self._nudged.discard(worker)
            return None
        one = _Wait(worker, queues, asyncio.get_running_loop().create_future())
        self._waits.append(one)
        try:
            async with asyncio.timeout(seconds):
                return await one.woken
        except TimeoutError:
            return None
        finally:
            if one in self._waits:
                self._waits.remove(one)

    def _end(self, one: _Wait, queue: str | None) -> None:
        self._waits.remove(one)
        if not one.woken.done():
            one.woken.set_result(queue)
