"""How fast the slots of a queue are, and so how much it is worth to hold ahead of them."""

import time
from collections.abc import Callable

_AHEAD = 0.025  # seconds of work: while one batch runs, the next is fetched
_SOON = 0.005  # seconds until a charge, or a take, is answered on a busy machine
_MOST = 500
_TOO_LONG = 0.2
_SHORTEST = 0.002


class Pace:
    """Measures the jobs a second that slots finish.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate = 0.0
        self._finished = 0
        self._at = clock()

    def saw(self, finished: int) -> None:
        """That many jobs were finished in all, until now."""
        now = self._clock()
        if (passed := now - self._at) >= _SHORTEST:
            # Half of it is forgotten with every look, so that slots which slow down are noticed.
            self._rate = (self._rate + (finished - self._finished) / passed) / 2
            self._finished, self._at = finished, now

    @property
    def reach(self) -> int:
        """How many jobs to take ahead at once: none while the slots are slow."""
        return min(_MOST, int(self._rate * _AHEAD))

    @property
    def low(self) -> int:
        """With fewer jobs waiting, the slots may run dry before others come."""
        return int(self._rate * _SOON)

    def too_much(self, held: int) -> bool:
        """Whether slots that have become slow keep so many jobs from other workers too long."""
        return held > self._rate * _TOO_LONG
