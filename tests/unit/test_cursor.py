from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from headrace.ledger.cursor import Cursor
from headrace.model.priority import LEVELS

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def row(number: int, priority: int = 5) -> dict[str, Any]:
    return {
        "id": UUID(int=number),
        "run_at": NOON + timedelta(seconds=number),
        "priority": priority,
    }


def test_it_moves_past_what_was_claimed_in_each_level() -> None:
    cursor = Cursor()
    start, nothing = cursor.positions()
    cursor.took([row(7), row(9), row(8), row(3, priority=1)], asked=4)
    run_at, ids = cursor.positions()
    assert ids[LEVELS.index(5)] == UUID(int=9)
    assert run_at[LEVELS.index(1)] == NOON + timedelta(seconds=3)
    assert (run_at[9], ids[9]) == (start[9], nothing[9])
    assert cursor.moved


def test_it_goes_back_when_a_claim_finds_less_than_it_asked_for() -> None:
    cursor = Cursor()
    cursor.took([row(1)], asked=1)
    cursor.took([row(2)], asked=2)
    assert not cursor.moved


def test_it_goes_back_after_a_second() -> None:
    now = 0.0
    cursor = Cursor(clock=lambda: now)
    cursor.took([row(1)], asked=1)
    now = 1.1
    assert cursor.positions() == Cursor().positions()
    assert not cursor.moved
