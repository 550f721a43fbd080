"""The unblocker: lets go what waits for jobs whose end nobody has looked at."""

from collections.abc import Callable

from headrace.engines.ledgered import LedgeredEngine
from headrace.service import Loop

_INTERVAL = 1.0
_MARGIN = 0.01  # so that it is due by then


class Unblocker:
    """Looks where whoever ended a job could not.

    A worker looks itself once it has settled (engines/unblocking.py). Left are those who died in
    between, ends by operators, by the reaper, in transactions of others and by raw SQL. Any number
    may do this: to look once more changes nothing.

    Args:
        engine: started.
        failed: called with a defect.
    """

    def __init__(
        self, engine: LedgeredEngine, *, failed: Callable[[BaseException], None] | None = None
    ) -> None:
        self._engine = engine
        self.loop: Loop = Loop("unblocker", self.poll, failed=failed)

    async def poll(self) -> float:
        """One round: one short question, mostly."""
        next_due = await self._engine.unblock()
        return _INTERVAL if next_due is None else min(_INTERVAL, next_due + _MARGIN)
