"""What operators did while the lane could not be told: it is told as soon as it is back."""

from headrace.engines.reconcile import reconcile
from headrace.model.lane_view import LaneView
from headrace.ports.clock import boottime
from headrace.ports.lane import Lane
from headrace.ports.lane_ledger import LaneLedger

_MOST = 500
_REST = 1.0


class Untold:
    """Removes from the lane what was cancelled behind its back; otherwise it might run, unasked."""

    def __init__(self, ledger: LaneLedger, lane: Lane) -> None:
        self._ledger = ledger
        self._lane = lane
        self._rests_until = 0.0

    async def round(self, view: LaneView) -> int:
        """Tell the lane once; returns of how many jobs."""
        if boottime() < self._rests_until:
            return 0
        ids = await self._ledger.untold(_MOST)
        if ids:
            standing = await self._ledger.standing(ids, view)
            await reconcile(self._lane, view, dict.fromkeys(ids, 0), standing)
            await self._ledger.told(ids)
        if len(ids) < _MOST:
            self._rests_until = boottime() + _REST
        return len(ids)
