"""What a worker took from a lane becomes its own in the ledger, when that gives out the jobs."""

from collections.abc import Sequence
from uuid import UUID

from headrace.model.job import Delivery, Token
from headrace.ports.lane_ledger import LaneLedger


class Adoption:
    """What of a worker's hand the ledger knows by its owner.

    A worker says that it heeds direct mode once all that the lane gave it is covered: by then it
    was adopted, or had been lost to somebody else (the models' twin `said_before_adopted`).
    """

    def __init__(self, ledger: LaneLedger) -> None:
        self._ledger = ledger
        self._covered: set[Token] = set()

    def covers(self, carried: Sequence[Delivery]) -> bool:
        """Whether nothing of this is left to be adopted."""
        return all(one.token in self._covered for one in carried)

    async def adopt(
        self, epoch: int, heeds: int | None, worker: UUID, carried: Sequence[Delivery]
    ) -> frozenset[Token]:
        """Adopt the rest; returns what of it was lost.

        Nothing, where the hand was read before it heeded this epoch: meanwhile something may have
        gone back to the lane, and be somebody else's (the models' twin `adopts_by_old_names`).
        """
        fresh = [one for one in carried if one.token not in self._covered]
        if not fresh or heeds != epoch:
            return frozenset()
        own = await self._ledger.adopt(epoch, worker, fresh)
        self._covered = {one.token for one in carried}
        return frozenset(one.token for one in fresh) - own

    def forget(self) -> None:
        """The lane gives out jobs again."""
        self._covered.clear()
