"""A join is let go once, when all before it are over; each rule is there for a reason."""

from dataclasses import replace

import pytest

from model.explorer import CAN_FINISH, explore
from model.joins import (
    ENDS_BY_FAILURE,
    FAILS_WITH_THE_DEAD,
    NOT_BEFORE,
    STAYS_OVER,
    Joins,
    JoinsTwin,
)

BROKEN = {
    "waits_unseen": (Joins("ignore"), CAN_FINISH),
    "adds_without_the_lock": (Joins("ignore"), NOT_BEFORE),
    "trusts_the_count": (Joins("ignore"), NOT_BEFORE),
    "forgets_what_is_locked": (Joins("ignore"), CAN_FINISH),
    "forgets_what_came_later": (Joins("ignore"), CAN_FINISH),
    "lets_go_what_is_over": (Joins("ignore"), STAYS_OVER),
    "keeps_what_failed": (Joins("fail", retries=1), ENDS_BY_FAILURE),
    "retries_beside_a_look": (Joins("fail", retries=1), FAILS_WITH_THE_DEAD),
}


@pytest.mark.parametrize("on_failure", ["fail", "ignore", "wait"])
@pytest.mark.parametrize("retries", [0, 1])
def test_no_interleaving_breaks_a_property(on_failure: str, retries: int) -> None:
    found = explore(Joins(on_failure, retries=retries), limit=200_000)

    assert found.broken == {}
    assert found.states > 1_000


@pytest.mark.parametrize("twin", BROKEN)
def test_a_broken_twin_fails(twin: str) -> None:
    model, fails = BROKEN[twin]
    broken = replace(model, twin=JoinsTwin(**{twin: True}))

    assert fails in explore(broken, limit=200_000, until=fails).broken
