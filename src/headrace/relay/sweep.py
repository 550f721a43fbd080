"""The sweep: what write-through missed comes into the lane (protocol A2)."""

import logging

from headrace.model.lane_view import LaneView
from headrace.ports.lane import Lane
from headrace.ports.lane_ledger import LaneLedger
from headrace.relay.walk import Walk

_log = logging.getLogger("headrace.relay")
_MOST = 2000


class Sweep:
    """Puts what was committed since the last round, flagged.

    A round that fails moves nothing: the next one reads from the same snapshot. More than a round
    can carry is left to the walk, which begins anew.
    """

    def __init__(self, ledger: LaneLedger, lane: Lane, walk: Walk, *, horizon: float) -> None:
        self._ledger = ledger
        self._lane = lane
        self._walk = walk
        self._horizon = horizon
        self._snapshot: str | None = None

    def forget(self) -> None:
        """Begin anew: in another epoch nothing is where it was."""
        self._snapshot = None

    async def round(self, view: LaneView) -> int:
        """Sweep once; returns how many jobs it found."""
        if self._snapshot is None:
            # Everything up to here is the walk's.
            self._snapshot = await self._ledger.snapshot()
            self._walk.restart()
            return 0
        found = await self._ledger.sweep(self._snapshot, view, self._horizon, _MOST)
        if found.entries:
            await self._lane.put(view.epoch, found.entries)
        if len(found.entries) == _MOST:
            self._walk.restart()
        self._snapshot = found.snapshot
        return len(found.entries)
