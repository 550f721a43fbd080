"""The attempts of a job that did not complete it, out of its events."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from headrace.model.inspection import JobEvent

UNKNOWN_TASK = "UnknownTask"
"""The type of the error of a job whose task its workers do not know."""

_RUNS = ("retry", "crash", "dead")
KINDS = (*_RUNS, "replay")
"""Which events `past_attempts` reads."""


class PastAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a job that failed, or was cut short.

    Attributes:
        attempt: its number, from 1; a replay begins anew.
        ended: "retry": it failed, and another one followed; "crash": its worker died; "dead": it
            was the last one.
        at: when that was written, by PostgreSQL's clock.
        ran: how long, in seconds; None where nobody could tell.
        worker: who ran it; None where nobody could tell.
        host: its host and process id, for a day after the worker ended.
        type: of the error.
        message: of the error.
        stack: where it was raised; secrets are hidden in all three.
    """

    attempt: int
    ended: str
    at: datetime
    ran: float | None
    worker: UUID | None
    host: str | None
    type: str
    message: str
    stack: str


class _Data(msgspec.Struct, frozen=True):
    type: str = ""
    message: str = ""
    stack: str = ""
    ran: float | None = None
    worker: UUID | None = None


def past_attempts(events: Iterable[JobEvent]) -> list[PastAttempt]:
    """The attempts among these events, oldest first."""
    attempts: list[PastAttempt] = []
    number = 0
    for event in events:
        if event.kind == "replay":
            number = 0
        if event.kind not in _RUNS:
            continue
        number += 1
        data = _Data() if event.data is None else msgspec.json.decode(event.data, type=_Data)
        lost = event.kind == "crash" or event.actor == "reaper"
        attempts.append(
            PastAttempt(
                attempt=number,
                ended=event.kind,
                at=event.at,
                ran=data.ran,
                worker=data.worker or _worker(event.actor),
                host=event.host,
                type=data.type or ("WorkerLost" if lost else ""),
                message=data.message or ("the worker died during the attempt" if lost else ""),
                stack=data.stack,
            )
        )
    return attempts


def _worker(actor: str) -> UUID | None:
    kind, _, name = actor.partition(":")
    return UUID(name) if kind == "worker" else None


def put_off_as_unknown(events: Iterable[JobEvent]) -> list[JobEvent]:
    """The last events in a row in which workers left the job for one that knows its task."""
    row: list[JobEvent] = []
    for event in events:
        data = _Data() if event.data is None else msgspec.json.decode(event.data, type=_Data)
        row = [*row, event] if event.kind == "snooze" and data.type == UNKNOWN_TASK else []
    return row
