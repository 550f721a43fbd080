"""How fast the slots of a queue are, and so how much it is worth to hold ahead of them."""

import time
from collections.abc import Callable

_AHEAD = 0.025  # seconds of work at least: while one batch runs, the next is fetched
_SOON = 0.005  # seconds, at least, that pass until a charge is answered
_LONGEST = 0.5
_MOST = 500
_TOO_LONG = 0.2
_SHORTEST = 0.002


class Pace:
    """Measures the jobs a second that slots would finish if they always had one.

    So the time counts in which slots are busy, not that in which they wait for the next take: of
    slots that starve it must not be thought that they are slow.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate = 0.0
        self._take = 0.0
        self._finished = 0
        self._busy = 0.0
        self._at = clock()

    def saw(self, finished: int, busy: float, slots: int) -> None:
        """So many jobs were finished in all, in so many seconds of all slots, until now."""
        now = self._clock()
        if now - self._at >= _SHORTEST and busy > self._busy:
            # Half of it is forgotten with every look, so that slots which slow down are noticed.
            rate = slots * (finished - self._finished) / (busy - self._busy)
            self._rate = (self._rate + rate) / 2
            self._finished, self._busy, self._at = finished, busy, now

    def took(self, seconds: float) -> None:
        """A take was answered after so long: servers may be far away, or have much to do."""
        self._take = (self._take + seconds) / 2

    @property
    def reach(self) -> int:
        """How many jobs to take ahead at once: none while the slots are slow."""
        return min(_MOST, int(self._rate * max(_AHEAD, min(2 * self._take, _LONGEST))))

    @property
    def low(self) -> int:
        """With fewer jobs waiting, the slots may run dry before others come.

        Half a batch at most: so much earlier than it may start it is charged, and a kill blames it.
        """
        return min(_MOST // 2, int(self._rate * max(_SOON, min(self._take, _LONGEST / 2))))

    def too_much(self, held: int) -> bool:
        """Whether slots that have become slow keep so many jobs from other workers too long."""
        return held > self._rate * (_TOO_LONG + 2 * min(self._take, _LONGEST))
