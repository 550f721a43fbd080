"""The keeper: one round of upkeep of the ledger a minute."""

from headrace.ports.ledger import Ledger
from headrace.service import Loop

_POLL = 60.0


class Keeper:
    """Keeps the ledger small and its partitions ready."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.loop = Loop("keeper", self.poll)

    async def poll(self) -> float:
        """One round."""
        await self._ledger.maintain()
        return _POLL
