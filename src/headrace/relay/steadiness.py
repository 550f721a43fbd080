"""When a lane that was voted out is used again."""

from collections.abc import Callable

from headrace.errors import LaneError
from headrace.ports.clock import boottime
from headrace.ports.lane import LEASE, Lane

_STEADY = 10.0
_SOON = 6  # times as long: who is voted out again within that comes and goes
_MOST = 16


class Steadiness:
    """Watches it: it has to be there all the time for ten seconds.

    One that is voted out again soon, within six times as long, has to be there twice as long, and
    so on up to a few minutes: each return costs its jobs a pause when it goes away once more. What
    another relay watched is not known here.

    Args:
        lease: seconds; with a short one all of this is shorter.
        clock: seconds.
    """

    def __init__(self, lease: float = LEASE, *, clock: Callable[[], float] = boottime) -> None:
        self._shortest = self._wanted = min(_STEADY, lease * 2 / 3)
        self._clock = clock
        self._epoch = 0
        self._since: float | None = None
        self._returned: float | None = None

    async def shown(self, lane: Lane, epoch: int) -> bool:
        """Look once, in direct mode of this epoch; whether the lane may be used again.

        Raises:
            LaneError: it cannot be reached, or takes no writes.
        """
        if epoch != self._epoch:
            self._begin(epoch)
        try:
            await lane.probe()
        except LaneError:
            self._since = None
            raise
        now = self._clock()
        if self._since is None:
            self._since = now
        if now - self._since < self._wanted:
            return False
        self._returned = now
        return True

    def _begin(self, epoch: int) -> None:
        self._epoch, self._since = epoch, None
        returned = self._returned
        again = returned is not None and self._clock() - returned < _SOON * self._wanted
        longer = min(2 * self._wanted, _MOST * self._shortest)
        self._wanted = longer if again else self._shortest
