"""The lane's reaper: takes jobs from workers whose lease in the lane is over (protocol X1-X3)."""

from headrace.engines.reconcile import reconcile
from headrace.model.lane_view import LaneView
from headrace.model.verdict import WORKER_LOST
from headrace.ports.lane import Lane
from headrace.ports.lane_ledger import LaneLedger

_BATCH = 200


class LaneReaper:
    """Lists what has expired, raises its generation in the ledger, then repairs the lane.

    It may die between any two steps: what has expired stays listed until the lane agrees with the
    ledger.
    """

    def __init__(self, ledger: LaneLedger, lane: Lane) -> None:
        self._ledger = ledger
        self._lane = lane

    async def round(self, view: LaneView) -> int:
        """Reap once; returns how many entries had expired."""
        leases = await self._lane.expired(view.epoch, _BATCH)
        if not leases:
            return 0
        await self._ledger.bump(view.epoch, leases, WORKER_LOST)
        known = {lease.id: lease.gen for lease in leases}
        # A row that still has the lane's generation was locked by somebody: it stays listed.
        await reconcile(self._lane, view, known, await self._ledger.standing(list(known), view))
        return len(leases)
