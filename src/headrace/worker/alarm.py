"""Calls what a handler wants to be told of its soft timeout."""

import asyncio
import logging
from collections.abc import Callable
from uuid import UUID

_log = logging.getLogger("headrace.worker")


class Alarm:
    """The soft timeout of one attempt, for those who asked for it; all on the event loop.

    Args:
        loop: of the worker.
        job_id: for the log.
        left: seconds until then, which may become more.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, job_id: UUID, left: Callable[[], float]
    ) -> None:
        self._loop = loop
        self._job_id = job_id
        self._left = left
        self._timers: list[asyncio.TimerHandle] = []
        self._over = False

    def set(self, call: Callable[[], object]) -> None:
        """Call this then."""
        left = self._left()
        if self._over:
            return
        if left > 0:
            self._timers.append(self._loop.call_later(left, self.set, call))
            return
        try:
            call()
        except Exception as exc:  # noqa: BLE001 - it is the user's
            _log.error("job %s: its call on soft timeout failed: %s", self._job_id, exc)

    def end(self) -> None:
        """The attempt is over."""
        self._over = True
        for timer in self._timers:
            timer.cancel()
