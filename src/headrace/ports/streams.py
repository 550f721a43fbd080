"""Where streams are kept."""

from collections.abc import Sequence
from typing import Protocol

from headrace.model.stream import NewStreamEvent, Page, Want

CHANNEL = "streams"
"""The channel of the bus on which the names of streams go that have something new: a JSON list."""


class StreamStore(Protocol):
    """Keeps the latest events of each stream.

    Raises from every verb:
        LedgerUnavailable: PostgreSQL is away.
    """

    async def publish(self, events: Sequence[NewStreamEvent], tx: object = None) -> list[int]:
        """Append events, all or none: committed when it returns, or in the transaction `tx`.

        Who publishes to the same stream meanwhile waits for the commit: so ids rise in its order.

        Returns:
            Their ids, in order.
        """

    async def read(self, wants: Sequence[Want], most: int) -> list[Page]:
        """The next events of each, `most` at most; of a stream that nobody knows an empty page."""
