"""A lane of our name that another history of this database was using: is it in use still?"""

import logging

from headrace.model.lane_view import LaneView, Sighting, short
from headrace.ports.clock import boottime
from headrace.ports.lane_ledger import LaneLedger

_log = logging.getLogger("headrace.relay")


class Stranger:
    """Watches such a lane, before it is taken or left.

    Who lives leaves a new mark every few seconds. If none comes for a whole lease, the history that
    used the lane is over: this database was restored in its place, and may open the lane anew. If
    one comes, this database is a copy, or has been copied: it gives way and takes an identity, and
    so a lane, of its own. What both had in the lane stays with the other, and nothing is lost: the
    new lane is filled from the ledger.

    Args:
        lease: seconds for which to watch, without a gap of a third of it.
    """

    def __init__(self, ledger: LaneLedger, *, lease: float) -> None:
        self._ledger = ledger
        self._lease = lease
        self._seen: Sighting | None = None
        self._since = 0.0
        self._looked = 0.0

    async def gone(self, view: LaneView, seen: Sighting) -> bool:
        """Whether nobody else uses the lane any more, as far as was watched."""
        now = boottime()
        if self._seen is None or now - self._looked > self._lease / 3:
            self._seen, self._since = seen, now
        self._looked = now
        if seen != self._seen:
            self._seen = None
            await self._give_way(view)
            return False
        if now - self._since < self._lease:
            return False
        self._seen = None
        return True

    async def _give_way(self, view: LaneView) -> None:
        parted = await self._ledger.part(view)
        if parted is not None:
            _log.warning(
                "the lane %s is in use by another copy of this database, which takes the lane %s "
                "from now on",
                short(view.ledger),
                short(parted.ledger),
            )
