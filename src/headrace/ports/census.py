"""A lane read from end to end, for a check while it is in use."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from headrace.model.entry import Ended


class Record(NamedTuple):
    """An entry as the lane's book has it; its place is a new one whenever it goes back to wait."""

    id: UUID
    gen: int
    place: bytes


class Census(Protocol):
    """Counts a lane; each call is short, so that nobody waits long behind it.

    All verbs raise `LaneUnavailable`, and those with an epoch `WrongEpoch`, as a lane's do.
    """

    def belong_to(self, ledger: UUID) -> None:
        """Count the lane of this ledger from now on."""

    async def epoch(self) -> int | None:
        """The epoch the lane is at; None if it has none, or has lived through a restart."""

    async def records(self, epoch: int) -> list[Record]:
        """Every entry that is there from the beginning to the end of the call."""

    async def present(self, epoch: int, ids: Sequence[UUID]) -> list[Record]:
        """The entries of these jobs, as they are now."""

    async def places(self, queues: Iterable[str]) -> Counter[tuple[UUID, bytes]]:
        """How often each job and place is ready, delayed or leased.

        What moves on from one to the next meanwhile is counted twice, and never missed.
        """

    async def drop(self, epoch: int, entries: Sequence[Ended]) -> None:
        """Remove entries, wherever they are."""
