"""The lane's reaper: takes jobs from workers whose lease in the lane is over (protocol X1-X3)."""

from collections.abc import Sequence
from uuid import UUID

from headrace.model.entry import Ended, LaneEntry
from headrace.model.lane_view import LaneView
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
        await self._ledger.bump(view.epoch, [(lease.id, lease.gen) for lease in leases])
        await self._reconcile(view, {lease.id: lease.gen for lease in leases})
        return len(leases)

    async def _reconcile(self, view: LaneView, known: dict[UUID, int]) -> None:
        """Make the lane agree with the ledger about these jobs; the generations are the lane's.

        A row that still has the lane's generation was locked by somebody: it stays listed.
        """
        standing = await self._ledger.standing(list(known), view)
        entries: list[LaneEntry] = []
        over: list[Ended] = []
        for job_id, gen in known.items():
            now = standing.get(job_id)
            if now is not None and now.entry is not None:
                if now.gen > gen:
                    entries.append(now.entry)
            else:
                over.append(Ended(job_id, gen if now is None else now.gen))
        await self._repair(view, entries, over)

    async def _repair(
        self, view: LaneView, entries: Sequence[LaneEntry], over: Sequence[Ended]
    ) -> None:
        if entries:
            await self._lane.put(view.epoch, entries)
        if over:
            await self._lane.drop(view.epoch, over)
