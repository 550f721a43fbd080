import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import UsageError
from headrace.model.duration import parse_duration
from headrace.model.job import Delivery
from headrace.model.names import check_name
from headrace.model.outcome import Cancel, Dead, Retry, Snooze
from headrace.model.priority import Priority, parse_priority
from headrace.model.retry import PRESETS, RetryPolicy, parse_retry
from headrace.model.state import State, Stored, derive_state
from headrace.model.verdict import describe, failed, steered

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("2m", 120), ("1h30m", 5400), ("250ms", 0.25), ("1.5h", 5400), ("7d", 604800)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text, "delay") == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", [30, 1.5, "30", "soon", "", "-5s", timedelta(seconds=-1), "9999999d", None, "5 s"]
)
def test_what_is_no_duration_is_refused_by_name(value: object) -> None:
    with pytest.raises(UsageError, match=r"^delay="):
        parse_duration(value, "delay")


@given(st.text())
def test_no_text_breaks_the_reading_of_durations(text: str) -> None:
    try:
        duration = parse_duration(text, "delay")
    except UsageError:
        return
    assert duration >= timedelta(0)


@pytest.mark.parametrize("name", ["", ".a", "a b", "ä", "x" * 101, None, 5, "a\n", "a/b"])
def test_odd_names_are_refused(name: object) -> None:
    with pytest.raises(UsageError, match="queue name"):
        check_name("queue", name)


def test_priorities_are_read() -> None:
    assert [parse_priority(one) for one in ("urgent", "HIGH", "medium", Priority.LOW, 10)] == [
        1,
        3,
        5,
        7,
        10,
    ]
    assert [Priority.from_scale200(one) for one in (0, 100, 200)] == [10, 6, 1]
    for wrong in (0, 11, True, "soon", 2.0, None):
        with pytest.raises(UsageError, match="priority="):
            parse_priority(wrong)
    with pytest.raises(UsageError, match="201"):
        Priority.from_scale200(201)


def test_retry_delays_follow_their_policy() -> None:
    exact = {
        name: [round(policy.delay(n, 0.0).total_seconds()) for n in range(1, 9)]
        for name, policy in PRESETS.items()
    }
    assert exact["seed-000"][:2] == [120, 240]
    assert exact["exponential"][:4] == [2, 4, 8, 16]
    assert exact["steps"][:5] == [1, 10, 60, 300, 900]
    assert exact["webhook"] == [1, 5, 30, 120, 600, 1800, 3600, 7200]
    assert exact["mail"][:5] == [1, 5, 30, 120, 600]
    assert PRESETS["aggressive"].max_attempts == 10
    assert PRESETS["conservative"].delay(1, 0.0) == timedelta(seconds=5)
    with pytest.raises(UsageError, match="sometimes"):
        parse_retry("sometimes")


@given(st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
def test_delays_stay_between_nothing_and_the_cap(failures: int, roll: float) -> None:
    policy = RetryPolicy()
    assert timedelta(0) <= policy.delay(failures, roll) <= policy.cap


@pytest.mark.parametrize(
    ("stored", "run_at", "failures", "running", "state"),
    [
        (Stored.LIVE, LATER, 0, False, State.SCHEDULED),
        (Stored.LIVE, LATER, 2, False, State.RETRYABLE),
        (Stored.LIVE, NOW, 2, False, State.AVAILABLE),
        (Stored.LIVE, NOW, 0, True, State.RUNNING),
        (Stored.BLOCKED, NOW, 0, False, State.BLOCKED),
        (Stored.COMPLETED, NOW, 0, False, State.COMPLETED),
        (Stored.DEAD, NOW, 3, False, State.DEAD),
        (Stored.CANCELLED, LATER, 0, False, State.CANCELLED),
    ],
)
def test_states_are_derived(
    stored: Stored,
    run_at: datetime,
    failures: int,
    running: bool,
    state: State,
) -> None:
    derived = derive_state(stored, run_at=run_at, now=NOW, failures=failures, running=running)
    assert derived is state


def delivery(failures: int = 0, crashes: int = 0, max_attempts: int = 3) -> Delivery:
    return Delivery(
        id=uuid4(),
        gen=2,
        queue="q",
        task="t",
        payload=b"{}",
        priority=5,
        failures=failures,
        crashes=crashes,
        max_attempts=max_attempts,
    )


@pytest.mark.parametrize(
    ("failures", "crashes", "state"),
    [(0, 0, Stored.LIVE), (1, 0, Stored.LIVE), (1, 1, Stored.LIVE), (2, 0, Stored.DEAD)],
)
def test_failures_use_up_the_attempts(failures: int, crashes: int, state: Stored) -> None:
    settlement = failed(delivery(failures, crashes), describe("E", "x"), 0.1, timedelta(seconds=2))
    assert settlement.state is state
    assert settlement.failed


def test_outcomes_become_settlements() -> None:
    delay = timedelta(seconds=7)
    snoozed = steered(delivery(), Snooze("30s"), 0.1, delay)
    assert (snoozed.state, snoozed.delay, snoozed.failed, snoozed.snoozed) == (0, 30.0, False, True)
    again = steered(delivery(), Retry("busy"), 0.1, delay)
    assert (again.state, again.delay, again.failed) == (0, 7.0, True)
    assert steered(delivery(), Retry(after="1m"), 0.1, delay).delay == 60.0
    assert steered(delivery(), Cancel("why"), 0.1, delay).state is Stored.CANCELLED
    assert steered(delivery(), Dead("why"), 0.1, delay).state is Stored.DEAD


@given(st.text(st.characters(), max_size=20_000))
def test_errors_are_bounded_and_storable(text: str) -> None:
    stored = describe("E", text + "\x00\ud800")
    message = json.loads(stored)["message"]
    assert "\0" not in message
    assert message.encode()
    assert len(stored) < 70_000
