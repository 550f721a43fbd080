"""What operators ask of jobs and queues, and the answers they get."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from headrace.errors import UsageError
from headrace.model.job import Job
from headrace.model.state import State

BOUND = 10_000
"""How far the states of live jobs are counted in a queue; beyond it they are "10,000+"."""


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs; everything given must hold.

    Attributes:
        states: one of these; empty: any.
        queue: name of the queue.
        task: name of the task.
        tenant: "" is a tenant like any other.
        since: made at this time or later.
        until: made before this time.
        settled_for: over for at least this long, on the ledger's clock.
        error: text that the error holds, whatever the case of its letters.
        log: the same of its log lines and the message of its progress.
    """

    states: tuple[State, ...] = ()
    queue: str | None = None
    task: str | None = None
    tenant: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    settled_for: timedelta | None = None
    error: str | None = None
    log: str | None = None

    def __post_init__(self) -> None:
        """Refuse times without a zone.

        Raises:
            UsageError: `since` or `until` is naive.
        """
        for name, value in (("since", self.since), ("until", self.until)):
            if value is not None and value.tzinfo is None:
                raise UsageError(f"{name}={value.isoformat()} has no time zone; add one, such as Z")

    def among(self, *allowed: State, if_named: Sequence[State] = ()) -> "JobFilter":
        """The same filter for these states only; `if_named`: for some only where it names them.

        Raises:
            UsageError: it asks for other states.
        """
        other = [state for state in self.states if state not in allowed]
        if other:
            raise UsageError(
                f"this cannot be done to {other[0]} jobs; choose among {', '.join(allowed)}"
            )
        return msgspec.structs.replace(
            self, states=self.states or tuple(one for one in allowed if one not in if_named)
        )


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of matching jobs, newest first.

    Attributes:
        cursor: go on with the jobs before this id; None: there are no more. A search that matches
            little may find nothing and still have a cursor: each call walks a bounded way.
    """

    ids: tuple[UUID, ...]
    cursor: UUID | None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Matching jobs, newest first; `cursor` as in `Found`."""

    jobs: tuple[Job, ...]
    cursor: UUID | None


class Answer(StrEnum):
    """What became of one job of an operator's call."""

    DONE = "done"
    STARTING = "starting"  # done, but a run of it may be starting: the lane could not tell
    ASKED = "asked"  # somebody has it, and is asked to end it
    RUNNING = "running"  # a worker has it
    UNKNOWN = "unknown"  # left alone: the lane cannot tell whether a worker has it
    BUSY = "busy"  # another transaction holds its row: ask again
    UNFIT = "unfit"  # its state does not allow it, or it is so already
    MISSING = "missing"  # there is no such job


class JobEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a job's life that was not happy.

    Attributes:
        gen: the generation that the event ended.
        kind: retry, snooze, crash, dead, cancelled, promote, replay or reprioritise.
        actor: "worker:ID", "reaper", "cli:USER".
        host: of the worker that ran it, with its process id, while that is known.
    """

    at: datetime
    gen: int
    kind: str
    actor: str
    data: msgspec.Raw | None
    host: str | None = None


class Promised(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an operator's word on what a queue promises.

    Attributes:
        changed: it is new.
        lease: seconds after which all workers know it, or start nothing.
    """

    changed: bool
    lease: float


class QueueCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs of a queue that are in the ledger now.

    Attributes:
        max_depth: how many live and blocked jobs it takes; None: any number.
        live: all that are neither over nor blocked; exact, as are the stored states.
        available: counted up to `BOUND`; `BOUND + 1` means more. So are scheduled, retryable and
            running.
        oldest: since when the longest waiting available job has been due.
    """

    queue: str
    paused: bool
    promise: str
    max_depth: int | None = None
    live: int
    available: int
    scheduled: int
    retryable: int
    running: int
    blocked: int
    completed: int
    dead: int
    cancelled: int
    oldest: datetime | None
