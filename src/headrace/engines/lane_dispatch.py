"""Takes from the lane: verified where flagged, claimed in the ledger where it must know first."""

import logging
from collections.abc import Sequence
from uuid import UUID

import msgspec

from headrace.errors import LaneError
from headrace.model.entry import Taken
from headrace.model.job import Delivery
from headrace.model.lane_view import LaneView
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
        self, view: LaneView, worker: UUID, queue: str, call: int, n: int, *, ahead: bool
    ) -> Taken:
        """Up to `n` due jobs that may run now."""
        epoch = view.epoch
        acks = self._acks.pop(worker, [])
        try:
            taken = await self._lane.take(epoch, worker, queue, call, n, acks=acks)
        except BaseException:
            self.acknowledge(worker, acks)
            raise
        held = Ahead(worker, queue, call) if ahead and taken.deliveries else None
        strict = queue in view.promises.strict
        admitted = await self._admit(worker, call, taken.deliveries, held, strict=strict)
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
        self,
        worker: UUID,
        call: int,
        deliveries: list[Delivery],
        ahead: Ahead | None,
        *,
        strict: bool,
    ) -> list[Delivery]:
        to_claim = [one for one in deliveries if strict or one.claimed_first]
        if len(to_claim) == len(deliveries):
            return await self._claim(worker, call, to_claim, ahead and ahead.queue)
        flagged = [one.token for one in deliveries if one.flagged and not one.claimed_first]
        stale = await self._ledger.stale(flagged, ahead) if flagged or ahead else set()
        if not to_claim and not stale:
            return deliveries
        claimed = {one.id: one for one in await self._claim(worker, call, to_claim)}
        admitted = []
        for one in deliveries:
            if to_claim and one.claimed_first:
                if one.id in claimed:
                    admitted.append(claimed[one.id])
            elif one.flagged and one.token in stale:
                self.acknowledge(worker, [one])
            else:
                admitted.append(one)
        return admitted

    async def _claim(
        self, worker: UUID, call: int, deliveries: list[Delivery], ahead: str | None = None
    ) -> list[Delivery]:
        """Those that could be had: from now on the ledger has them.

        The rest is stale; or an insert keeps it from starting, and the next beat, which does not
        name it, gives it back to the lane (testing/engines/uniqueness.py).
        """
        if not deliveries:
            return []
        claimed = await self._ledger.claim_known(
            worker, call, [one.token for one in deliveries], ahead
        )
        left = [one.token for one in deliveries if one.id not in claimed]
        kept = set(left) - await self._ledger.stale(left) if left else set()
        self.acknowledge(worker, [one for one in deliveries if one.token not in kept])
        return [_claimed(one, *claimed[one.id]) for one in deliveries if one.id in claimed]


def _claimed(delivery: Delivery, gen: int, payload: bytes | None) -> Delivery:
    return msgspec.structs.replace(
        delivery, gen=gen, payload=payload or delivery.payload, owned=True
    )
