"""Pauses: a queue that is paused in the ledger is paused in the lane, and no other."""

from collections.abc import Sequence

from headrace.model.lane_view import LaneView
from headrace.ports.lane import Lane
from headrace.ports.lane_ledger import QueueRow


class Pauses:
    """Makes the lane agree with the ledger.

    The lane itself is asked what it was told: an operator's word may reach it late, after the next.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def round(self, view: LaneView, queues: Sequence[QueueRow]) -> None:
        """Agree once about these queues, as the ledger has them."""
        wanted = {queue.name for queue in queues if queue.paused}
        told = await self._lane.paused(view.epoch)
        for queue in wanted - told:
            await self._lane.pause(view.epoch, queue)
        for queue in told - wanted:
            await self._lane.resume(view.epoch, queue)
