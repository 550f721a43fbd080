"""Jobs per second, from counts that are read again and again."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from headrace.model.inspection import QueueCounts

MINUTE = 60
_BARS = "▁▂▃▄▅▆▇█"


class Rate(NamedTuple):
    """Jobs of a queue per second: those that came in, and those that were over."""

    came: float = 0.0
    ended: float = 0.0


class Rates:
    """Compares each reading with the one before.

    The counters say what is in the ledger: what retention and cleaning remove lowers them. Where
    more was removed than came or ended in between, that shows as nothing, never as less.

    Attributes:
        queues: the latest rate of each queue that was there twice; empty after the first reading.
        minute: jobs per second that ended in all queues, oldest first, up to `MINUTE` readings.
    """

    def __init__(self) -> None:
        self._at = 0.0
        self._counts: Mapping[str, QueueCounts] = {}
        self.queues: Mapping[str, Rate] = {}
        self.minute: deque[float] = deque(maxlen=MINUTE)

    @property
    def ended(self) -> float:
        """Jobs per second that are over, of all queues together."""
        return sum(rate.ended for rate in self.queues.values())

    def read(self, counts: Sequence[QueueCounts], at: float) -> None:
        """Take a reading, at this time in seconds."""
        before, seconds = self._counts, at - self._at
        self._at, self._counts = at, {one.queue: one for one in counts}
        if not before or seconds <= 0:
            return
        self.queues = {
            one.queue: _rate(before[one.queue], one, seconds)
            for one in counts
            if one.queue in before
        }
        self.minute.append(self.ended)


def _rate(before: QueueCounts, now: QueueCounts, seconds: float) -> Rate:
    came = _total(now) - _total(before)
    ended = sum(
        max(0, getattr(now, state) - getattr(before, state))
        for state in ("completed", "dead", "cancelled")
    )
    return Rate(max(0, came) / seconds, ended / seconds)


def _total(counts: QueueCounts) -> int:
    over = counts.completed + counts.dead + counts.cancelled
    return counts.live + counts.blocked + over


def sparkline(values: Sequence[float]) -> str:
    """A bar for each value, the highest one full; no bar for nothing."""
    top = max(values, default=0.0)
    if top <= 0:
        return " " * len(values)
    return "".join(_bar(value / top) for value in values)


def _bar(share: float) -> str:
    return _BARS[min(int(share * len(_BARS)), len(_BARS) - 1)] if share > 0 else " "
