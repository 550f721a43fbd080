"""Whether the lane can be reached, as the calls tell that are made anyway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
        self._asked: dict[asyncio.Timeout, float | None] = {}

    @property
    def silent_since(self) -> float | None:
        """Since when a call waits that should be answered at once; None if none does."""
        asked = [at for at in self._asked.values() if at is not None]
        return max(min(asked), self.reached_at) if asked else None

    @asynccontextmanager
    async def seen(self, *, at_once: bool = True) -> AsyncIterator[None]:
        """Note how a call to the lane ends; an answer that refuses is an answer, too.

        Args:
            at_once: it asks for what is there, and waits for nothing.

        Raises:
            WrongEpoch: it was forsaken.
        """
        asked, patience = boottime(), asyncio.timeout(None)
        self._asked[patience] = asked if at_once else None
        try:
            async with patience:
                yield
        except TimeoutError as exc:
            if not patience.expired():
                raise
            raise WrongEpoch("the lane gives out no jobs any more") from exc
        except LaneUnavailable:
            self.lost_at = self.lost_at or max(asked, self.reached_at)
            raise
        except WrongEpoch:
            self.begin()
            raise
        finally:
            self._asked.pop(patience, None)
        self.begin()

    def begin(self) -> None:
        """It was reached just now, or is not to be reached while another gives out the jobs."""
        self.lost_at, self.reached_at = None, boottime()

    def forsake(self) -> None:
        """End the calls under way: who asks may have what it wants elsewhere."""
        now = asyncio.get_running_loop().time()
        while self._asked:
            patience, _ = self._asked.popitem()
            patience.reschedule(now)
