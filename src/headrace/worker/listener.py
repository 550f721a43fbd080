"""The listener: where something tells of new jobs, it wakes the fetcher of their queue."""

import asyncio
import logging
from collections.abc import Callable
from uuid import UUID

from headrace.errors import LaneError
from headrace.ports.clock import boottime
from headrace.ports.engine import Engine
from headrace.service import Loop

_log = logging.getLogger("headrace.worker")
_LISTEN = 1.0
_UNHEARD = 0.05


class Listener:
    """Waits for jobs of the queues that have a free slot.

    Args:
        engine: what tells of new jobs, if anything does.
        worker: the current identity.
        free: the queues with a free slot.
        wake: called with the queue that has jobs.
        failed: called with a defect.
    """

    def __init__(
        self,
        engine: Engine,
        worker: Callable[[], UUID],
        free: Callable[[], list[str]],
        wake: Callable[[str], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._engine = engine
        self._worker = worker
        self._free = free
        self._wake = wake
        self.loop: Loop = Loop("listener", self._listen, failed=failed)

    async def stop(self) -> None:
        """Wait no more, and end the wait under way: in this order, or another one begins."""
        await asyncio.gather(self.loop.stop(), self._nudge())

    async def _nudge(self) -> None:
        try:
            await self._engine.nudge(self._worker())
        except LaneError as exc:
            _log.info("the wait for new jobs ends by itself: %s", exc)

    async def _listen(self) -> float:
        free = self._free()
        if not free:
            return _UNHEARD
        asked = boottime()
        queue = await self._engine.wait(self._worker(), free, _LISTEN)
        if queue is not None:
            self._wake(queue)
            return 0.0
        waited = boottime() - asked
        return max(0.0, _LISTEN - waited)
