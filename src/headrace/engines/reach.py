"""Whether the lane can be reached, as the calls tell that are made anyway."""

from collections.abc import Iterator
from contextlib import contextmanager

from headrace.errors import LaneUnavailable, WrongEpoch
from headrace.ports.clock import boottime


class Reach:
    """Since when no call has reached the lane.

    Attributes:
        lost_at: since when they have failed, on `boottime`: the first was asked then, and none was
            answered later; None while they succeed.
        reached_at: when a call was answered last; a worker whose slots are all busy makes none.
    """

    def __init__(self) -> None:
        self.lost_at: float | None = None
        self.reached_at: float = boottime()

    @contextmanager
    def seen(self) -> Iterator[None]:
        """Note how a call to the lane ends; an answer that refuses is an answer, too."""
        asked = boottime()
        try:
            yield
        except LaneUnavailable:
            self.lost_at = self.lost_at or max(asked, self.reached_at)
            raise
        except WrongEpoch:
            self.begin()
            raise
        self.begin()

    def begin(self) -> None:
        """It was reached just now, or is not to be reached while another gives out the jobs."""
        self.lost_at, self.reached_at = None, boottime()
