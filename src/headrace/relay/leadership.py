"""Leadership: one service of many does what only one needs to do."""

import uuid
from collections.abc import Callable

from headrace.ports.clock import boottime
from headrace.ports.lane_ledger import LaneLedger


class Leadership:
    """A role, held for some seconds at a time.

    It saves the others work and decides nothing: what it guards is correct whoever does it, by two
    at once, too. Who does not lead only reads.

    Args:
        ledger: where the role is written down.
        role: its name.
        seconds: after which another may take it from who does not renew it.

    Attributes:
        holder: the name of this candidate.
    """

    def __init__(
        self,
        ledger: LaneLedger,
        role: str,
        seconds: float,
        *,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self.holder: uuid.UUID = uuid.uuid4()
        self._ledger = ledger
        self._role = role
        self._seconds = seconds
        self._clock = clock
        self._until = -seconds

    async def held(self) -> bool:
        """Whether it is ours now; taken or renewed where that is possible and due."""
        now = self._clock()
        if now < self._until - self._seconds / 2:
            return True
        if not await self._ledger.lead(self._role, self.holder, self._seconds):
            return False
        self._until = now + self._seconds
        return True

    async def resign(self) -> None:
        """Let another one lead at once: a deployment must not leave the work alone for a while."""
        if self._clock() < self._until:
            self._until = -self._seconds
            await self._ledger.lead(self._role, self.holder, 0.0)
