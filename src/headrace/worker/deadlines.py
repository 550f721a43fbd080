"""One look at all that runs, ten times a second: a timer an attempt would cost more than a job."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

_TICK = 0.1


class Timed(Protocol):
    """Something with a deadline."""

    def look_at(self, now: float) -> None:
        """It is `now` on the monotonic clock: act if a deadline has passed."""


class Deadlines:
    """Shows what runs the time, up to a tenth of a second after each deadline, on the event loop.

    Args:
        running: what runs now.
    """

    def __init__(self, running: Callable[[], Iterable[Timed]]) -> None:
        self._running = running
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Something has begun: look until nothing runs."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TICK, self._look)

    def close(self) -> None:
        """Watch nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        running = list(self._running())
        now = time.monotonic()
        for one in running:
            one.look_at(now)
        if running:
            self.watch()
