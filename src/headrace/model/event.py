"""What is told of jobs while they live: events. They follow the ledger and decide nothing."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from headrace.model.job import Delivery, Ending, NewJob, Settlement
from headrace.model.made_at import made_at
from headrace.model.state import Stored

JOBS = "jobs"
"""The channel of the bus on which the events of all queues go."""

_LONGEST = 500
_RESULT = 2_000
_NAMES = 200


class Kind(StrEnum):
    """What happened.

    Attributes:
        ENQUEUED: a job was committed.
        STARTED: a worker began an attempt.
        PROGRESS: an attempt told how far it is.
        COMPLETED: the job is done.
        RETRIED: an attempt failed, another follows.
        SNOOZED: the attempt put the job off.
        CANCELLED: the job is not wanted any more.
        DEAD: it was given up.
        GAP: events are missing here.
    """

    ENQUEUED = "enqueued"
    STARTED = "started"
    PROGRESS = "progress"
    COMPLETED = "completed"
    RETRIED = "retried"
    SNOOZED = "snoozed"
    CANCELLED = "cancelled"
    DEAD = "dead"
    GAP = "gap"


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to a job.

    Attributes:
        id: ordered by time, on the ledger's clock.
        kind: what happened.
        at: when, aware, to the millisecond of the id.
        queue: of the job.
        task: of the job.
        job: its id; None for a gap.
        attempt: the number of the run; 0 before the first.
        fields: what else is known: `priority` and `delay` in seconds, or `run_at`, of one enqueued;
            `fraction` and `message` of progress; `seconds` that an attempt took, with the `result`
            if it is short, or the `error` (`type` and `message`) and the `delay` in seconds before
            the next; `lost`, how many events are missing in a gap, None if nobody knows.
    """

    id: UUID
    kind: Kind
    at: datetime
    queue: str = ""
    task: str = ""
    job: UUID | None = None
    attempt: int = 0
    fields: dict[str, Any] = {}


def channel_of(queue: str) -> str:
    """The channel on which the events of one queue go."""
    return f"{JOBS}:{queue}" if queue else JOBS


def gap(event_id: UUID, lost: int | None) -> Event:
    """So many events are missing."""
    return Event(id=event_id, kind=Kind.GAP, at=made_at(event_id), fields={"lost": lost})


def enqueued(event_id: UUID, job: NewJob) -> Event:
    """A job was committed."""
    fields: dict[str, Any] = {"priority": job.priority}
    if job.delay is not None:
        fields["delay"] = job.delay.total_seconds()
    if job.run_at is not None:
        fields["run_at"] = job.run_at.isoformat()
    return Event(
        id=event_id,
        kind=Kind.ENQUEUED,
        at=made_at(event_id),
        queue=job.queue,
        task=job.task[:_NAMES],
        job=job.id,
        fields=fields,
    )


def started(event_id: UUID, delivery: Delivery) -> Event:
    """An attempt began."""
    return _of(event_id, Kind.STARTED, delivery, {})


def progressed(event_id: UUID, delivery: Delivery, fraction: float, message: str) -> Event:
    """An attempt told how far it is, and the ledger has it."""
    fields = {"fraction": fraction, "message": message[:_LONGEST]}
    return _of(event_id, Kind.PROGRESS, delivery, fields)


def ended(event_id: UUID, ending: Ending) -> Event:
    """An attempt ended, and the ledger has its outcome."""
    delivery, settlement = ending
    fields: dict[str, Any] = {"seconds": round(settlement.ran, 6)}
    if settlement.result is not None and len(settlement.result.encode()) <= _RESULT:
        fields["result"] = msgspec.Raw(settlement.result.encode())
    if settlement.error is not None:
        error = msgspec.json.decode(settlement.error, type=dict[str, str])
        fields["error"] = {"type": error["type"], "message": error["message"][:_LONGEST]}
    kind = kind_of(settlement)
    if settlement.state is Stored.LIVE:
        fields["delay"] = settlement.delay
    return _of(event_id, kind, delivery, fields)


def kind_of(settlement: Settlement) -> Kind:
    """What an outcome is called."""
    match settlement.state:
        case Stored.COMPLETED:
            return Kind.COMPLETED
        case Stored.CANCELLED:
            return Kind.CANCELLED
        case Stored.DEAD:
            return Kind.DEAD
        case _:
            return Kind.SNOOZED if settlement.snoozed else Kind.RETRIED


def _of(event_id: UUID, kind: Kind, delivery: Delivery, fields: dict[str, Any]) -> Event:
    return Event(
        id=event_id,
        kind=kind,
        at=made_at(event_id),
        queue=delivery.queue,
        task=delivery.task[:_NAMES],
        job=delivery.id,
        attempt=delivery.attempt,
        fields=fields,
    )
