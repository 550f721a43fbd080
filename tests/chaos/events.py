"""What processes of a chaos run write down: one immutable value for each thing that happened."""

from enum import StrEnum

import msgspec

KILL = "kill"


class Outcome(StrEnum):
    """What a settle said of an attempt."""

    COMPLETE = "complete"
    RETRY = "retry"
    SNOOZE = "snooze"
    CANCEL = "cancel"
    DEAD = "dead"

    @property
    def terminal(self) -> bool:
        """Whether the job never runs again."""
        return self in {Outcome.COMPLETE, Outcome.CANCEL, Outcome.DEAD}


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """Base of all; ``at`` is the machine's monotonic clock in ns, both are set when written."""

    at: int = 0
    pid: int = 0


class EnqueueCalled(Event, frozen=True, tag="enqueue_called"):
    """A producer is about to enqueue this job."""

    job: str


class EnqueueReturned(Event, frozen=True, tag="enqueue_returned"):
    """The producer was told that this job is durable."""

    job: str


class EnqueueUndone(Event, frozen=True, tag="enqueue_undone"):
    """The producer rolled back the transaction in which it had enqueued this job."""

    job: str


class StartChecked(Event, frozen=True, tag="start_checked"):
    """The fence let this run start; written after the check and before the handler.

    Attributes:
        asked_at: the clock read before the check began.
        ledger_xmin: oldest transaction still open in the ledger when the check began, if it was
            asked: every older one had ended.
    """

    job: str
    gen: int
    worker: str
    attempt: int
    asked_at: int
    ledger_xmin: int | None = None


class Admitted(Event, frozen=True, tag="admitted"):
    """The limits let this run start, so many seconds after they were asked at the earliest.

    Attributes:
        asked_at: the clock read before they were asked.
        wait: seconds from the answer's reading of PostgreSQL's clock to the start.
    """

    job: str
    gen: int
    asked_at: int
    wait: float


class RunEnded(Event, frozen=True, tag="run_ended"):
    """The handler returned or raised; written before the settle is sent."""

    job: str
    gen: int
    worker: str


class SettleSent(Event, frozen=True, tag="settle_sent"):
    """An outcome is about to be sent to the ledger."""

    job: str
    gen: int
    worker: str
    outcome: Outcome


class Settled(Event, frozen=True, tag="settled"):
    """The ledger answered: it accepted the outcome, or refused it as stale."""

    job: str
    gen: int
    worker: str
    outcome: Outcome
    accepted: bool


class LeaseLost(Event, frozen=True, tag="lease_lost"):
    """Leases ended by a reaper, a rebuild or a fault; no job or no worker named means all."""

    cause: str
    job: str | None = None
    worker: str | None = None


class FaultInjected(Event, frozen=True, tag="fault_injected"):
    """The runner did this; written just before, with the victim where there is one.

    The kind KILL means that the victim dies now.
    """

    kind: str
    victim: int | None = None


class CrashPointReached(Event, frozen=True, tag="crash_point_reached"):
    """This process kills itself here; its last line."""

    name: str


class HoldReached(Event, frozen=True, tag="hold_reached"):
    """This process waits here until it is told to go on."""

    name: str


class ProcessStarted(Event, frozen=True, tag="process_started"):
    """The runner started a process."""

    role: str
    child: int


class ProcessEnded(Event, frozen=True, tag="process_ended"):
    """The runner saw a process end; negative status = killed by that signal."""

    role: str
    child: int
    status: int


AnyEvent = (
    EnqueueCalled
    | EnqueueReturned
    | EnqueueUndone
    | StartChecked
    | Admitted
    | RunEnded
    | SettleSent
    | Settled
    | LeaseLost
    | FaultInjected
    | CrashPointReached
    | HoldReached
    | ProcessStarted
    | ProcessEnded
)
