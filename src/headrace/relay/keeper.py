"""The keeper: one round of upkeep of the ledger a minute."""

from collections.abc import Callable

from headrace.ports.ledger import Ledger
from headrace.relay.leadership import Leadership
from headrace.service import Loop

_POLL = 60.0


class Keeper:
    """Keeps the ledger small and its partitions ready; one of many does it."""

    def __init__(
        self, ledger: Ledger, *, failed: Callable[[BaseException], None] | None = None
    ) -> None:
        self._ledger = ledger
        self._leadership = Leadership(ledger.lanes, "keeper", _POLL)
        self.loop: Loop = Loop(
            "keeper", self.poll, ended=self._leadership.resign, failed=failed, severable=True
        )

    async def poll(self) -> float:
        """One round."""
        if await self._leadership.held():
            await self._ledger.maintain()
        return _POLL
