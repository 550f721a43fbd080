"""Pauses: a queue that is paused in the ledger is paused in the lane, and no other."""

from headrace.model.lane_view import LaneView
from headrace.ports.lane import Lane
from headrace.ports.lane_ledger import LaneLedger


class Pauses:
    """Makes the lane agree with the ledger.

    The lane itself is asked what it was told: an operator's word may reach it late, after the next.
    """

    def __init__(self, ledger: LaneLedger, lane: Lane) -> None:
        self._ledger = ledger
        self._lane = lane

    async def round(self, view: LaneView) -> None:
        """Agree once."""
        wanted = {queue.name for queue in await self._ledger.queues() if queue.paused}
        told = await self._lane.paused(view.epoch)
        for queue in wanted - told:
            await self._lane.pause(view.epoch, queue)
        for queue in told - wanted:
            await self._lane.resume(view.epoch, queue)
