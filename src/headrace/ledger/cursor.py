"""Where the due jobs of a queue begin, so that a claim need not walk what was claimed before."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from headrace.ledger.rows import Row
from headrace.model.priority import LEVELS

_Place = tuple[datetime, UUID]
_START: _Place = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))
_LONGEST = 1.0


class Cursor:
    """The last job claimed of each level of a queue, by (run_at, id).

    Claimed jobs leave dead entries at the front of the index until a vacuum; each claim would walk
    them all. A cursor is a hint: jobs that come to lie behind it (released, reaped, committed late)
    are found when it goes back to the start, a second later at most and whenever a claim finds
    less than it asked for.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Go back to the start."""
        self._began = self._clock()
        self._last = dict.fromkeys(LEVELS, _START)

    @property
    def moved(self) -> bool:
        """Whether jobs may lie behind it."""
        return any(last is not _START for last in self._last.values())

    def positions(self) -> tuple[list[datetime], list[UUID]]:
        """The times and ids after which to look, in the order of `LEVELS`."""
        if self._clock() - self._began > _LONGEST:
            self.reset()
        last = [self._last[level] for level in LEVELS]
        return [run_at for run_at, _ in last], [job_id for _, job_id in last]

    def took(self, rows: Sequence[Row], asked: int) -> None:
        """Move past claimed rows, or back to the start when there were fewer than asked for."""
        if len(rows) < asked:
            self.reset()
            return
        places: dict[int, list[_Place]] = {}
        for row in rows:
            places.setdefault(row["priority"], []).append((row["run_at"], row["id"]))
        for level, claimed in places.items():
            self._last[level] = max(self._last[level], *claimed)
