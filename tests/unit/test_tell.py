"""What the log says of attempts that did not end well."""

import logging
from datetime import timedelta
from uuid import UUID

import pytest

from headrace.model.job import Delivery, Settlement
from headrace.model.state import Stored
from headrace.model.verdict import completed, describe, failed, given_up
from headrace.worker.tell import tell

ERROR = describe("ValueError", "no such street", "Traceback ...")


def delivery(failures: int = 0) -> Delivery:
    return Delivery(
        id=UUID(int=7),
        gen=1,
        queue="q",
        task="send",
        payload=b"{}",
        priority=5,
        failures=failures,
        crashes=0,
        max_attempts=2,
        call=1,
    )


@pytest.mark.parametrize(
    ("attempt", "settlement", "level", "words"),
    [
        (
            delivery(),
            failed(delivery(), ERROR, 0.1, timedelta(seconds=3)),
            logging.WARNING,
            "(send) failed in attempt 1 of 2, the next in 3.0 s: ValueError: no such street",
        ),
        (
            delivery(1),
            failed(delivery(1), ERROR, 0.1, timedelta(seconds=3)),
            logging.ERROR,
            "(send) is dead after attempt 2 of 2: ValueError: no such street",
        ),
        (
            delivery(),
            given_up(delivery(), Stored.CANCELLED, describe("Cancel", "not wanted"), 0.1),
            logging.INFO,
            "(send) is cancelled: Cancel: not wanted",
        ),
    ],
)
def test_a_failure_is_one_line(
    attempt: Delivery,
    settlement: Settlement,
    level: int,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "headrace.worker")
    tell(attempt, settlement)
    (line,) = caplog.records
    assert line.levelno == level
    assert line.getMessage() == f"job {attempt.id} {words}"


def test_what_ends_well_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tell(delivery(), completed(delivery(), None, 0.1))
    assert not caplog.records
