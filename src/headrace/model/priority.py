"""Priorities, and how levels share the takes.

Levels share by stride scheduling (Waldspurger and Weihl, 1995): each level has a pass; a take
serves the lowest pass and moves it on by the level's stride, 1 / weight. So every level gets at
least its share of any run of takes while it has work, and none starves.
"""

from collections import Counter
from collections.abc import Iterable
from enum import IntEnum

from headrace.errors import UsageError
from headrace.model.shown import shown


class Priority(IntEnum):
    """1 to 10, lower runs first; the named levels."""

    CRITICAL = 1
    HIGH = 3
    NORMAL = 5
    LOW = 7
    BACKGROUND = 10

    @staticmethod
    def from_scale200(value: int) -> int:
        """Map a priority of 0..200, where higher runs first, onto 10..1.

        Raises:
            UsageError: the value is outside 0..200.
        """
        if not 0 <= value <= 200:
            raise UsageError(f"priority {value!r} is outside 0..200; choose one within")
        return 10 - round(value * 9 / 200)


LEVELS: tuple[int, ...] = tuple(range(1, 11))
WEIGHTS: dict[int, float] = {1: 16, 2: 11, 3: 8, 4: 6, 5: 4, 6: 3, 7: 2, 8: 1.6, 9: 1.3, 10: 1}
STRIDES: list[float] = [1 / WEIGHTS[level] for level in LEVELS]

_ALIASES = {"urgent": 1, "critical": 1, "high": 3, "medium": 5, "normal": 5, "low": 7}
_ALIASES["background"] = 10


def parse_priority(value: object) -> int:
    """Read a priority: 1..10, a `Priority`, or one of its names (also "urgent", "medium").

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(value, str) and value.lower() in _ALIASES:
        return _ALIASES[value.lower()]
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10:
        return int(value)
    raise UsageError(
        f"priority={shown(value)} is unknown; use 1 (runs first) to 10, or one of "
        "critical, urgent, high, normal, medium, low, background"
    )


class Shares:
    """The passes of the levels of one queue, as one worker sees them."""

    def __init__(self) -> None:
        self._passes = dict.fromkeys(LEVELS, 0.0)
        self._last_key = 0.0

    def passes(self) -> list[float]:
        """The pass of each level, in the order of `LEVELS`."""
        return [self._passes[level] for level in LEVELS]

    def took(self, priorities: Iterable[int]) -> None:
        """Book the jobs that a take gave, by priority.

        A level that had nothing to give must not save up credit, or it would monopolise the
        queue when it wakes. One that waited with work and was not served would have come next
        only after all that were: its pass plus its stride is at least the last key served. So
        raising every pass to that bound takes nothing from those that wait.
        """
        for priority, taken in Counter(priorities).items():
            self._passes[priority] += taken / WEIGHTS[priority]
            self._last_key = max(self._last_key, self._passes[priority])
        for level in LEVELS:
            self._passes[level] = max(self._passes[level], self._last_key - 1 / WEIGHTS[level])
