"""Who tells of jobs, as those know it who see something happen to them."""

from collections.abc import Collection, Sequence
from typing import Protocol

from headrace.model.job import Delivery, Ending, NewJob, Token


class Herald(Protocol):
    """Tells behind whatever happens; waits for nothing, and nothing waits for it."""

    @property
    def open(self) -> bool:
        """Whether somebody may hear; look at it before anything is made ready to be told."""

    def ask_again(self) -> None:
        """Somebody in this process has begun to hear."""

    def tell(self, channel: str, body: bytes) -> None:
        """Tell a message on a channel of the bus, if it is heard."""

    def enqueued(self, jobs: Sequence[NewJob]) -> None:
        """These jobs are committed."""

    def started(self, delivery: Delivery) -> None:
        """An attempt begins."""

    def progressed(self, delivery: Delivery, fraction: float, message: str) -> None:
        """An attempt has told how far it is, and the ledger has it."""

    def ended(self, endings: Sequence[Ending], accepted: Collection[Token]) -> None:
        """Attempts ended; of those the ledger has accepted these tokens."""

    async def close(self) -> None:
        """Tell what is still to be told, for a moment."""
