"""The lease of a worker in the lane: begun by its first take, prolonged by its beats."""

from collections.abc import Sequence
from uuid import UUID

from headrace.errors import LaneUnavailable
from headrace.model.job import Beat, Delivery
from headrace.model.lane_view import LaneView, Mode
from headrace.ports.lane import Lane


class LaneLease:
    """Begins and prolongs the leases of an engine's workers."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._beaten_epoch = -1
        self._known: dict[UUID, int] = {}

    async def begin(self, epoch: int, worker: UUID) -> None:
        """Begin the worker's lease in this epoch, so that it need not wait for its next beat.

        It names nothing and answers no call, so it gives nothing back either.
        """
        if self._known.get(worker) != epoch:
            await self._lane.beat(epoch, worker, (), 0)
            self._known = {worker: epoch}

    async def prolong(
        self, view: LaneView, worker: UUID, carried: Sequence[Delivery], answered: int
    ) -> Beat:
        """Returns what is no longer the worker's; in a new epoch it says first what it holds.

        Raises:
            LaneUnavailable: the lane is away, or is being built.
        """
        if view.mode is Mode.REBUILD:
            raise LaneUnavailable("the lane is being rebuilt; the lease in it cannot be prolonged")
        if view.epoch != self._beaten_epoch:
            own = await self._lane.reassert(view.epoch, worker, carried)
            self._beaten_epoch = view.epoch
            return Beat(alive=True, lost=frozenset(one.token for one in carried) - own)
        return await self._lane.beat(view.epoch, worker, carried, answered)
