"""Values that cannot be are refused in one sentence that names thing, value and fix."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest

from headrace import Cancel, Dead, Headrace, Retry, RetryPolicy, UsageError
from headrace.context import LocalContext
from headrace.model.duration import parse_duration
from headrace.model.shown import shown, words

NAN, INFINITE = float("nan"), float("inf")


class Shy:
    def __repr__(self) -> str:
        raise ZeroDivisionError


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as refused:
        call()
    told = str(refused.value)
    assert "\n" not in told
    assert len(told) < 300
    return told


@pytest.mark.parametrize(
    "value", [NAN, INFINITE, -INFINITE, -1, -0.5, 1e300, pytest.param(10**5000, id="huge"), True]
)
def test_a_number_that_no_unit_would_mend_is_no_duration(value: float) -> None:
    told = refusal(lambda: parse_duration(value, "delay"))
    assert told == f'delay={shown(value)} is not a duration; write "30s", "2m", "1h30m"'


@pytest.mark.parametrize(("value", "fix"), [(5, '"5s"'), (0, '"0s"'), (2.5, '"2.5s"')])
def test_a_number_without_a_unit_is_given_one(value: float, fix: str) -> None:
    told = refusal(lambda: parse_duration(value, "delay"))
    assert told == f"delay={value} has no unit; write {fix} or a timedelta"
    assert parse_duration(fix.strip('"'), "delay") == timedelta(seconds=value)


@pytest.mark.parametrize("value", ["99999999d", "9" * 5000 + "s", timedelta.max, "3651d"])
def test_a_duration_is_at_most_ten_years(value: object) -> None:
    told = refusal(lambda: parse_duration(value, "delay"))
    assert told == f"delay={shown(value)} is longer than ten years; choose a shorter one"


@pytest.mark.parametrize(
    "value", ["", "1", "-1s", "1e5s", "1 s", "nan", "٣s", "1s\n", b"1s", [], Shy()]
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    assert "is not a duration; write" in refusal(lambda: parse_duration(value, "delay"))


EAST, WEST = timezone(timedelta(hours=23)), timezone(-timedelta(hours=23))


@pytest.mark.parametrize(
    "moment",
    [
        datetime.min.replace(tzinfo=EAST),
        datetime.max.replace(tzinfo=WEST),
        datetime.max.replace(tzinfo=UTC),
    ],
)
def test_a_time_that_utc_cannot_tell_is_refused(moment: datetime) -> None:
    @Headrace("tests").task()
    async def plain() -> None: ...

    told = refusal(lambda: plain.options(run_at=moment))
    assert told == (
        f"run_at={moment.isoformat()} lies outside of the years 1 to 9998 in UTC; "
        "choose a time within"
    )


DAY = timedelta(days=1)
POLICIES: list[tuple[dict[str, Any], str]] = [
    ({"base": 5}, "base=5 must be a timedelta, such as timedelta(seconds=5)"),
    ({"base": -DAY}, "base=datetime.timedelta(days=-1) is negative; a duration counts forward"),
    ({"cap": "1h"}, "cap='1h' must be a timedelta, such as timedelta(seconds=5)"),
    (
        {"cap": 4000 * DAY},
        "cap=datetime.timedelta(days=4000) is longer than ten years; choose a sho",
    ),
    ({"factor": NAN}, "factor=nan must be a number from 1 to 1000"),
    ({"factor": 1e300}, "factor=1e+300 must be a number from 1 to 1000"),
    ({"factor": "x"}, "factor='x' must be a number from 1 to 1000"),
    ({"jitter": 2}, "jitter=2 must be a number from 0 to 1"),
    ({"jitter": None}, "jitter=None must be a number from 0 to 1"),
    ({"steps": 5}, "steps=5 must be a tuple of timedeltas"),
    ({"steps": (DAY, 2)}, "steps[1]=2 must be a timedelta, such as timedelta(seconds=5)"),
    ({"max_attempts": 0}, "max_attempts=0 must be a whole number from 1 to 32767"),
]


@pytest.mark.parametrize(("values", "words"), POLICIES)
def test_a_retry_policy_that_cannot_be_is_refused_when_it_is_made(
    values: dict[str, Any], words: str
) -> None:
    assert refusal(lambda: RetryPolicy(**values)).startswith(words)


def test_the_steepest_policy_never_overflows() -> None:
    steep = RetryPolicy(base=timedelta(days=3650), factor=1000, cap=DAY, jitter=0)
    assert [steep.delay(failures, 0.5) for failures in (1, 2, 32767)] == [DAY] * 3


def test_a_decorator_without_its_parentheses_is_told() -> None:
    app: Any = Headrace("tests")
    told = refusal(lambda: app.task(lambda: None))
    assert "write @app.task() or" in told


@pytest.mark.parametrize("annotation", ["1/0", "1 +", "int.nope"])
def test_an_annotation_that_cannot_be_read_is_told(annotation: str) -> None:
    async def odd(x: object) -> None: ...

    odd.__annotations__["x"] = annotation
    told = refusal(lambda: Headrace("tests").task()(odd))
    assert told.startswith('task "odd": an annotation cannot be read (')


@pytest.mark.parametrize("fraction", [-0.1, 1.5, NAN, "half", None])
async def test_progress_is_a_part_of_a_whole(fraction: Any) -> None:
    with pytest.raises(UsageError, match="give a number from 0 to 1"):
        await LocalContext("t", "q", 1, Headrace("tests").state_of).progress(fraction)


def test_an_outcome_takes_an_exception_for_its_words() -> None:
    cause = ValueError("the cause")
    assert Retry(cause).error == Cancel(cause).reason == Dead(cause).reason == "the cause"


def test_what_cannot_be_shown_is_told_by_its_type() -> None:
    assert shown(Shy()) == "a Shy that cannot be shown"
    assert shown("x" * 100) == "'" + "x" * 76 + "..."
    assert shown(uuid4).count("\n") == 0
    assert words(UnicodeError("said")) == "said"
