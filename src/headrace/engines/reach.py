"""Whether the lane can be reached, as the calls tell that are made anyway."""

from collections.abc import Iterator
from contextlib import contextmanager

from headrace.errors import LaneUnavailable, WrongEpoch
from headrace.ports.clock import boottime


class Reach:
    """Since when no call has reached the lane.

    Attributes:
        lost_at: when the first call was made of those that failed one after the other, on
            `boottime`; None while they succeed.
        reached_at: when a call was answered last; a worker whose slots are all busy makes none.
    """

    def __init__(self) -> None:
        self.lost_at: float | None = None
        self.reached_at = boottime()

    @contextmanager
    def seen(self) -> Iterator[None]:
        """Note how a call to the lane ends; an answer that refuses is an answer, too."""
        asked = boottime()
        try:
            yield
        except LaneUnavailable:
            self.lost_at = self.lost_at or asked
            raise
        except WrongEpoch:
            self._answered()
            raise
        self._answered()

    def _answered(self) -> None:
        self.lost_at, self.reached_at = None, boottime()
