"""What commands tell of jobs: their history, and why one is left alone."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from headrace.cli.history import history_rows
from headrace.cli.output import at
from headrace.cli.unfit import why_unfit
from headrace.model.inspection import JobEvent
from headrace.model.state import FINAL, WAITING, State

_NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
_RETRIED = (State.RETRYABLE, State.DEAD)


def event(minute: int, kind: str, actor: str = "worker:a", **data: object) -> JobEvent:
    return JobEvent(
        at=_NOON + timedelta(minutes=minute),
        gen=minute,
        kind=kind,
        actor=actor,
        data=msgspec.Raw(msgspec.json.encode(data)) if data else None,
    )


def test_snoozes_in_a_row_are_one_line() -> None:
    snoozes = [event(minute, "snooze", f"worker:{minute}") for minute in range(12)]
    failure = event(12, "retry", type="ValueError", message="boom")
    assert history_rows([*snoozes, failure, event(13, "snooze")]) == [
        (at(_NOON), "snooze", "worker:11", f"12 times, the last at {at(snoozes[-1].at)}"),
        (at(failure.at), "retry", "worker:a", "ValueError: boom"),
        (at(_NOON + timedelta(minutes=13)), "snooze", "worker:a", ""),
    ]


@pytest.mark.parametrize(
    ("command", "allowed", "state", "told"),
    [
        (
            "retry",
            _RETRIED,
            State.COMPLETED,
            ("it is completed, and only retryable or dead jobs can be retried; enqueue it again "
            "instead (its idempotency key, if it has one, holds until `jobs delete`)"),
        ),
        (
            "promote",
            (State.SCHEDULED, State.RETRYABLE),
            State.AVAILABLE,
            ("it is available, and only scheduled or retryable jobs can be promoted; it is due, "
            "and runs once a worker is free"),
        ),
        ("cancel", WAITING, State.CANCELLED, "it is cancelled already"),
        (
            "cancel",
            WAITING,
            State.COMPLETED,
            ("it is completed, and only scheduled, retryable, available or blocked jobs can be "
            "cancelled; it is over"),
        ),
        (
            "delete",
            FINAL,
            State.SCHEDULED,
            ("it is scheduled, and only completed, cancelled or dead jobs can be deleted; "
            "`jobs cancel` it first"),
        ),
        (
            "replay",
            (State.DEAD,),
            State.RETRYABLE,
            "it is retryable, and only dead jobs can be replayed; `jobs retry` makes it due now",
        ),
        ("retry", _RETRIED, State.BLOCKED, ("it is blocked, and only retryable or dead jobs can be "
         "retried")),
    ],
)  # fmt: skip
def test_why_a_job_is_left_alone(
    command: str, allowed: tuple[State, ...], state: State, told: str
) -> None:
    assert why_unfit(command, allowed, state) == told
