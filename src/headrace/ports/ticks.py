"""What the ledger does for a scheduler."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from headrace.model.job import Inserted
from headrace.model.schedule import DueSchedule, Move


class DueSchedules(NamedTuple):
    """The schedules whose time has come.

    Attributes:
        found: some of them, those that wait longest.
        wait: seconds until the next of the others is due; None where there is none.
    """

    found: list[DueSchedule]
    wait: float | None


class Ticks(Protocol):
    """Every verb is one statement, by the ledger's clock. All raise `LedgerUnavailable`."""

    async def due(self, n: int) -> DueSchedules:
        """Up to `n` schedules whose time has come."""

    async def make(self, moves: Sequence[Move]) -> Mapping[str, list[Inserted]]:
        """Insert the jobs of ticks and say how far their schedules are, both or neither.

        Returns:
            What became of the jobs, in order, by schedule; those that somebody else moved or
            changed meanwhile are left out.

        Raises:
            UsageError: a job was refused, so that nothing was written.
        """

    async def hold(self, schedule: DueSchedule, seconds: float, error: str) -> None:
        """Its jobs are refused: look at it again later."""

    async def heard(self, seconds: float) -> bool:
        """Wait until a schedule was changed; False at once where nothing tells of it."""
