"""The states of a job: five are stored, the others follow from run_at, failures and the lease."""

from datetime import datetime
from enum import IntEnum, StrEnum


class Stored(IntEnum):
    """What the ledger's `state` column holds."""

    LIVE = 0
    BLOCKED = 1
    COMPLETED = 2
    DEAD = 3
    CANCELLED = 4


class State(StrEnum):
    """The states that people see.

    Attributes:
        SCHEDULED: its time is ahead, and it has not failed yet.
        RETRYABLE: the same after a failure.
        AVAILABLE: it is due.
        RUNNING: a worker has it and has begun.
        BLOCKED: reserved; nothing leads to it yet.
        COMPLETED: done.
        CANCELLED: not wanted any more.
        DEAD: used up its attempts, or was given up; until somebody replays it.
    """

    SCHEDULED = "scheduled"
    RETRYABLE = "retryable"
    AVAILABLE = "available"
    RUNNING = "running"
    BLOCKED = "blocked"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DEAD = "dead"

    @property
    def final(self) -> bool:
        """Whether the job is over (a dead one until somebody replays it)."""
        return self in FINAL


WAITING = (State.SCHEDULED, State.RETRYABLE, State.AVAILABLE, State.BLOCKED)
"""The states of jobs that are not over and that no worker has."""

FINAL = (State.COMPLETED, State.CANCELLED, State.DEAD)
"""The states of jobs that are over."""

_AS_STORED = {
    Stored.BLOCKED: State.BLOCKED,
    Stored.COMPLETED: State.COMPLETED,
    Stored.DEAD: State.DEAD,
    Stored.CANCELLED: State.CANCELLED,
}


def derive_state(
    stored: int, *, run_at: datetime, now: datetime, failures: int, running: bool
) -> State:
    """The state of a job; `now` is the ledger's clock, `running`: it is leased and started."""
    if stored != Stored.LIVE:
        return _AS_STORED[Stored(stored)]
    if running:
        return State.RUNNING
    if run_at <= now:
        return State.AVAILABLE
    return State.RETRYABLE if failures else State.SCHEDULED
