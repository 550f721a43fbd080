"""What the ledger does for the lane: its state, verification, repair."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from headrace.model.entry import Cursor, LaneEntry, Lease
from headrace.model.job import Delivery
from headrace.model.lane_view import LaneView, Mode

Token = tuple[UUID, int]


class Claimed(NamedTuple):
    """A job that a lane gave, and the ledger, too.

    Attributes:
        gen: the new one.
        payload: where it may be another one than the lane carried.
    """

    gen: int
    payload: bytes | None


class Ahead(NamedTuple):
    """The call of a worker that took from a queue more than it had free slots for."""

    worker: UUID
    queue: str
    call: int


class Sweep(NamedTuple):
    """What was committed between two snapshots."""

    snapshot: str
    entries: list[LaneEntry]


class Standing(NamedTuple):
    """A job as the lane should have it: `entry` is None where it should have none."""

    gen: int
    entry: LaneEntry | None


class Votes(NamedTuple):
    """How many workers cannot reach the lane, of all that live."""

    away: int
    living: int


class QueueRow(NamedTuple):
    """A queue."""

    id: int
    name: str
    paused: bool


class LaneLedger(Protocol):
    """Every verb is one statement. All raise `LedgerUnavailable` where PostgreSQL is away."""

    async def view(self) -> LaneView:
        """How the lane is now."""

    async def switch(
        self, epoch: int, mode: Mode, *, held: bool = False, voted: bool = False, above: int = 0
    ) -> LaneView | None:
        """Begin a new epoch in a mode, later than `above`, too.

        Args:
            epoch: the one that the caller saw.
            mode: who gives out jobs from now on.
            held: it stays so until an operator says otherwise.
            voted: the lane could not be reached; once it can be for a while, it is used again.
            above: another epoch that must be passed.

        Returns:
            None, with nothing done, if the epoch is another one by now.
        """

    async def mark(self, epoch: int) -> LaneView | None:
        """Write down the next mark; None if no lane of this epoch gives out jobs."""

    async def part(self, view: LaneView) -> LaneView | None:
        """Take a new identity while the lane is to be built; None if somebody was first."""

    async def fence(self, epoch: int, mode: Mode) -> LaneView | None:
        """Tell that the lane refuses earlier epochs; from now on the mode is this one."""

    async def longest_lease(self) -> float:
        """Seconds that some living worker may be silent; 0 where none lives."""

    async def calm(self, epoch: int, *, agreed: bool = False) -> None:
        """Tell that nobody works under an earlier epoch any more.

        Args:
            epoch: the present one.
            agreed: only if the mode is direct and every living worker has said so by its beats.
        """

    async def vote(self, worker: UUID) -> Votes:
        """Say that a worker cannot reach the lane; it counts for five seconds."""

    async def claim_known(
        self, worker: UUID, call: int, tokens: Sequence[Token], ahead: str | None = None
    ) -> Mapping[UUID, Claimed]:
        """Claim jobs that a lane gave; returns those that could be had.

        What the call took `ahead` from this queue has not started, until it is charged.
        """

    async def stale(self, tokens: Sequence[Token], ahead: Ahead | None = None) -> set[Token]:
        """Those that may not run: over, of another generation, in somebody's hands.

        What was taken from the lane `ahead` has not started, until it is charged.
        """

    async def misfits(self, tokens: Sequence[Token]) -> Mapping[Token, str]:
        """Those of these entries that a lane should not carry, and why.

        Read them from the lane before: then the ledger is never behind.
        """

    async def adopt(self, epoch: int, worker: UUID, hand: Sequence[Delivery]) -> set[Token]:
        """Own in the ledger what was taken from a lane that is off; returns what could be had.

        Nothing can be had unless the mode is direct, at this epoch.
        """

    async def bump(self, epoch: int, leases: Sequence[Lease], error: str) -> None:
        """Take jobs from workers that hold them in the lane; `error` is that of a run cut short."""

    async def standing(self, ids: Sequence[UUID], view: LaneView) -> Mapping[UUID, Standing]:
        """How the lane should have these jobs; unknown ones are left out."""

    async def untold(self, n: int) -> list[UUID]:
        """Up to `n` jobs that ended while the lane could not be told."""

    async def told(self, ids: Sequence[UUID]) -> None:
        """The lane agrees about these jobs again."""

    async def snapshot(self) -> str:
        """From where the next sweep reads."""

    async def sweep(self, snapshot: str, view: LaneView, horizon: float, n: int) -> Sweep:
        """Up to `n` jobs committed since a snapshot and due within `horizon` seconds.

        Those that their producer puts into the lane itself are left out.
        """

    async def sweep_pushed(
        self, earlier: str, later: str, view: LaneView, horizon: float, n: int
    ) -> list[LaneEntry]:
        """Up to `n` of those that were left out and still wait, committed between two snapshots."""

    async def walk(
        self, queue: QueueRow, level: int, after: Cursor, view: LaneView, horizon: float, n: int
    ) -> list[LaneEntry]:
        """Up to `n` waiting jobs of a queue's level in their order, after a position."""

    async def waiting_levels(self, horizon: float) -> Mapping[int, list[int]]:
        """The levels, by queue id, that have waiting jobs due within so many seconds."""

    async def queues(self) -> list[QueueRow]:
        """Every queue."""

    async def lead(self, role: str, holder: UUID, seconds: float) -> bool:
        """Take or renew a role that only one needs to have."""
