"""A join is let go once, when all before it are over; each rule is there for a reason."""

import pytest

from model.explorer import CAN_FINISH, explore
from model.joins import NOT_BEFORE, STAYS_OVER, Joins, JoinsTwin

BROKEN = {
    "waits_unseen": CAN_FINISH,
    "adds_without_the_lock": NOT_BEFORE,
    "trusts_the_count": NOT_BEFORE,
    "forgets_what_is_locked": CAN_FINISH,
    "forgets_what_came_later": CAN_FINISH,
    "lets_go_what_is_over": STAYS_OVER,
}


@pytest.mark.parametrize("on_failure", ["fail", "ignore", "wait"])
def test_no_interleaving_breaks_a_property(on_failure: str) -> None:
    found = explore(Joins(on_failure), limit=200_000)

    assert found.broken == {}
    assert found.states > 1_000


@pytest.mark.parametrize("twin", BROKEN)
def test_a_broken_twin_fails(twin: str) -> None:
    model = Joins("ignore", twin=JoinsTwin(**{twin: True}))

    assert BROKEN[twin] in explore(model, limit=200_000, until=BROKEN[twin]).broken
