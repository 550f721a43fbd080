"""What the ledger does for jobs that wait for others."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from headrace.model.flow import Parent, Place


class Unblocked(NamedTuple):
    """What waited for others and may run now.

    Attributes:
        jobs: their ids.
        queues: the names of theirs.
        again: jobs that are worth looking at once more.
    """

    jobs: Sequence[UUID] = ()
    queues: Sequence[str] = ()
    again: Sequence[UUID] = ()


class Woken(NamedTuple):
    """Whether to look.

    Attributes:
        now: there are jobs that nobody has looked at.
        next_due: seconds until one that needs seats is due; None if none is.
    """

    now: bool
    next_due: float | None


class Relations(Protocol):
    """What is known of jobs that wait for others; `LedgerUnavailable` where PostgreSQL is away."""

    async def parents(self, job_id: UUID) -> list[Parent]:
        """The jobs that a job came after, in the order in which they were made."""

    async def place(self, job_id: UUID) -> Place:
        """Where a job stands among others."""


class LinkLedger(Relations, Protocol):
    """Every verb is one statement. All raise `LedgerUnavailable` where PostgreSQL is away."""

    def listen(self, ended: Callable[[Sequence[UUID]], None], came: Callable[[], None]) -> None:
        """Call `ended` with jobs that ended in this process, and that others may wait for.

        And `came` where jobs that need seats were committed.
        """

    async def unblock(self, ids: Sequence[UUID] | None, n: int) -> Unblocked:
        """Let go what waited for up to `n` of these jobs; None: of those nobody has looked at."""

    async def woken(self) -> Woken:
        """Whether there are jobs that nobody has looked at, or when."""
