"""The sweep: what write-through missed comes into the lane (protocol A2)."""

import logging
from collections.abc import Sequence

from headrace.model.entry import LaneEntry
from headrace.model.lane_view import LaneView
from headrace.ports.clock import boottime
from headrace.ports.lane import Lane
from headrace.ports.lane_ledger import LaneLedger
from headrace.relay.walk import Walk

_log = logging.getLogger("headrace.relay")
_MOST = 2000
_PUSH = 1.0


class Sweep:
    """Puts what was committed since the last round, flagged.

    What producers put themselves gets a second to arrive: a backlog must not travel twice, nor be
    flagged without need. A round that fails moves nothing: the next one reads from the same
    snapshot. More than a round can carry is left to the walk, which begins anew.
    """

    def __init__(self, ledger: LaneLedger, lane: Lane, walk: Walk, *, horizon: float) -> None:
        self._ledger = ledger
        self._lane = lane
        self._walk = walk
        self._horizon = horizon
        self._snapshot: str | None = None
        self._pushed = ("", "")
        self._looked = 0.0

    def forget(self) -> None:
        """Begin anew: in another epoch nothing is where it was."""
        self._snapshot = None

    async def round(self, view: LaneView) -> int:
        """Sweep once; returns how many jobs it found."""
        if self._snapshot is None:
            # Everything up to here is the walk's.
            self._snapshot = await self._ledger.snapshot()
            self._pushed = (self._snapshot, self._snapshot)
            self._looked = boottime()
            self._walk.restart()
            return 0
        found = await self._ledger.sweep(self._snapshot, view, self._horizon, _MOST)
        await self._put(view, found.entries)
        self._snapshot = found.snapshot
        return len(found.entries) + await self._sweep_pushed(view, found.snapshot)

    async def _sweep_pushed(self, view: LaneView, now: str) -> int:
        """What was to be pushed a second ago and still waits; test_sweep.py loses jobs without."""
        if boottime() - self._looked < _PUSH:
            return 0
        earlier, later = self._pushed
        overdue = await self._ledger.sweep_pushed(earlier, later, view, self._horizon, _MOST)
        await self._put(view, overdue)
        self._pushed = (later, now)
        self._looked = boottime()
        return len(overdue)

    async def _put(self, view: LaneView, entries: Sequence[LaneEntry]) -> None:
        if entries:
            await self._lane.put(view.epoch, entries)
        if len(entries) == _MOST:
            self._walk.restart()
