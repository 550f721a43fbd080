"""Takes from the lane: verified where flagged, claimed in the ledger where it may not crash."""

import logging
from collections.abc import Sequence
from uuid import UUID

import msgspec

from headrace.errors import LaneError
from headrace.model.entry import Taken
from headrace.model.job import Delivery
from headrace.ports.lane import Lane
from headrace.ports.lane_ledger import Ahead, LaneLedger

_log = logging.getLogger("headrace.engine")


class LaneDispatch:
    """Gives out jobs from a lane.

    Acks of what was settled ride on the next take of their worker, whichever queue that is of: one
    that waited for a quiet queue would let a beat give back what is over.
    """

    def __init__(self, ledger: LaneLedger, lane: Lane) -> None:
        self._ledger = ledger
        self._lane = lane
        self._acks: dict[UUID, list[Delivery]] = {}

    async def take(
        self, epoch: int, worker: UUID, queue: str, call: int, n: int, *, ahead: bool
    ) -> Taken:
        """Up to `n` due jobs that may run now."""
        acks = self._acks.pop(worker, [])
        try:
            taken = await self._lane.take(epoch, worker, queue, call, n, acks=acks)
        except BaseException:
            self.acknowledge(worker, acks)
            raise
        held = Ahead(worker, queue, call) if ahead and taken.deliveries else None
        admitted = await self._admit(worker, call, taken.deliveries, held)
        if len(admitted) < len(taken.deliveries):
            await self._remove(epoch, worker)
        return taken._replace(deliveries=admitted)

    def acknowledge(self, worker: UUID, deliveries: Sequence[Delivery]) -> None:
        """Remove these from the lane with the next take."""
        for one in deliveries:
            if not one.owned:
                self._acks.setdefault(worker, []).append(one)

    async def _remove(self, epoch: int, worker: UUID) -> None:
        """Remove now what was refused, for nobody's hand names it.

        A beat before the next take would give it back, and who takes it next is refused it, too.
        """
        acks = self._acks.pop(worker, [])
        try:
            await self._lane.ack(epoch, worker, acks)
        except LaneError as exc:
            _log.info("stale entries leave the lane later: %s", exc)
            self.acknowledge(worker, acks)

    async def flush(self, epoch: int, worker: UUID) -> None:
        """Remove now what waits to be removed."""
        await self._lane.ack(epoch, worker, self._acks.pop(worker, []))

    async def _admit(
        self, worker: UUID, call: int, deliveries: list[Delivery], ahead: Ahead | None
    ) -> list[Delivery]:
        last = [one for one in deliveries if one.last_to_crash]
        flagged = [one.token for one in deliveries if one.flagged and not one.last_to_crash]
        stale = await self._ledger.stale(flagged, ahead) if flagged or ahead else set()
        if not last and not stale:
            return deliveries
        claimed = (
            await self._ledger.claim_known(worker, call, [one.token for one in last])
            if last
            else {}
        )
        admitted = []
        for one in deliveries:
            if last and one.last_to_crash:
                self.acknowledge(worker, [one])  # from now on the ledger has it, or it is stale
                if one.id in claimed:
                    admitted.append(msgspec.structs.replace(one, gen=claimed[one.id], owned=True))
            elif one.flagged and one.token in stale:
                self.acknowledge(worker, [one])
            else:
                admitted.append(one)
        return admitted
