"""Direct mode keeps its promises in every interleaving, and each rule is there for a reason."""

from typing import NamedTuple

import pytest

from model import properties
from model.direct import Direct
from model.direct_state import Budget, Rules
from model.explorer import CAN_FINISH, explore

QUIET = Budget(crashes=0, expiries=0, losses=0, drains=0, snoozes=0)
CRASH = QUIET._replace(crashes=1)
EXPIRY = QUIET._replace(expiries=1)
LOSS = QUIET._replace(losses=1)
DRAIN = QUIET._replace(drains=1)

SOUND = {
    "crash, expiry, loss": Direct(Budget(1, 1, 1, 0, 0)),
    "two crashes, expiry": Direct(Budget(2, 1, 0, 0, 0), max_attempts=3),
    "two losses at once": Direct(Budget(0, 0, 2, 0, 0), wire=2),
    "drain, snooze, expiry, loss, one attempt": Direct(Budget(0, 1, 1, 1, 1), max_attempts=1),
    "drain, crash, loss": Direct(Budget(1, 0, 1, 1, 0)),
    "transaction, crash, expiry, loss": Direct(
        Budget(1, 1, 1, 0, 0), max_attempts=1, transaction=True
    ),
}


@pytest.mark.parametrize("model", SOUND.values(), ids=SOUND)
def test_no_interleaving_breaks_a_property(model: Direct) -> None:
    found = explore(model, limit=150_000)

    assert found.broken == {}
    assert found.states > 1_000


class Twin(NamedTuple):
    """A model without the named rules, and the property that must fail there."""

    without: str
    fails: str
    budget: Budget
    max_attempts: int = 2
    transaction: bool = False

    @property
    def model(self) -> Direct:
        rules = Rules(**dict.fromkeys(self.without.split(" + "), False))
        return Direct(
            self.budget, rules, max_attempts=self.max_attempts, transaction=self.transaction
        )


TWINS = [
    Twin("insert_keeps_its_id", properties.ONE_JOB, LOSS),
    Twin("settle_tests_state", properties.ONE_COMPLETION, LOSS),
    Twin("settle_tests_gen", properties.NO_LATE_START, LOSS),
    Twin("settle_is_recognised", properties.TOLD, LOSS),
    Twin("start_tests_fence", properties.NO_LATE_START, EXPIRY),
    Twin("beat_releases", CAN_FINISH, LOSS),
    Twin("beat_spares_unreceived", properties.NO_LATE_START, QUIET),
    Twin("beat_names_unsettled", properties.ATTEMPTS, QUIET, max_attempts=1),
    Twin("release_tests_gen", properties.NO_LATE_START, Budget(0, 0, 1, 2, 0)),
    Twin("release_drops_first", properties.NO_LATE_START, DRAIN),
    Twin("release_spares_started", properties.NO_OVERLAP, DRAIN),
    Twin("reaper_runs", CAN_FINISH, CRASH),
    Twin("reap_repeats", CAN_FINISH, EXPIRY),
    Twin("reap_repeats", CAN_FINISH, Budget(1, 0, 1, 0, 0)),
    Twin("reap_counts_the_crash", properties.ATTEMPTS, CRASH, max_attempts=1),
    Twin("silence_is_judged", properties.ATTEMPTS, EXPIRY, max_attempts=1),
    Twin("effects_join_the_settle", properties.EFFECTS, CRASH, transaction=True),
    # Belt and braces: each of these rules alone may be missing (see SPARE), never both of a pair.
    Twin("settle_tests_gen + settle_tests_owner", properties.NO_LATE_START, EXPIRY),
    Twin("reap_raises_gen + settle_tests_owner", properties.ACCOUNTED, EXPIRY),
    Twin("reap_raises_gen + claim_raises_gen", properties.ONE_RUN_PER_TOKEN, EXPIRY),
    Twin("retry_raises_gen + settle_tests_owner", properties.ACCOUNTED, LOSS),
    Twin("retry_raises_gen + claim_raises_gen", properties.NO_LATE_START, LOSS),
    Twin(
        "release_raises_gen + claim_raises_gen",
        properties.ONE_RUN_PER_TOKEN,
        Budget(0, 0, 1, 1, 0),
    ),
    Twin("fence_is_the_deliverys + refusal_voids", properties.NO_LATE_START, EXPIRY),
]


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: f"{twin.without}, {twin.fails}")
def test_a_broken_twin_fails_with_its_property(twin: Twin) -> None:
    found = explore(twin.model, limit=30_000, until=twin.fails)

    assert twin.fails in found.broken


SPARE = [
    "claim_raises_gen",
    "settle_tests_owner",
    "retry_raises_gen",
    "release_tests_owner",
    "release_raises_gen",
    "reap_raises_gen",
    "fence_is_the_deliverys",
    "refusal_voids",
]


@pytest.mark.parametrize("rule", SPARE)
def test_a_spare_rule_is_covered_by_another(rule: str) -> None:
    model = Direct(Budget(0, 1, 1, 0, 0), Rules(**{rule: False}), max_attempts=1)

    found = explore(model, limit=30_000)

    assert found.broken == {}


def test_a_kill_costs_an_attempt_that_was_only_claimed() -> None:
    """The known price of counting claimed rows as started: a last attempt may die without a run."""
    found = explore(Direct(CRASH, max_attempts=1, blame=True), limit=1_000)

    assert list(found.broken) == [properties.BLAME]
    assert "start" not in found.broken[properties.BLAME]
