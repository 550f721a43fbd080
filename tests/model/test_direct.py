"""Direct mode keeps its promises in every interleaving, and each rule is there for a reason."""

from typing import NamedTuple

import pytest

from model import properties
from model.direct import Direct
from model.direct_state import Budget, DirectTwin
from model.explorer import CAN_FINISH, explore

QUIET = Budget(crashes=0, expiries=0, losses=0, drains=0, snoozes=0)
CRASH = QUIET._replace(crashes=1)
EXPIRY = QUIET._replace(expiries=1)
LOSS = QUIET._replace(losses=1)
DRAIN = QUIET._replace(drains=1)
DRAIN_AND_LOSS = LOSS._replace(drains=1)
OVERRUN = QUIET._replace(overruns=1)
AHEAD = CRASH._replace(aheads=1)

SOUND = {
    "crash, expiry, loss": Direct(Budget(1, 1, 1, 0, 0)),
    "two crashes, expiry, three attempts": Direct(Budget(2, 1, 0, 0, 0), max_attempts=3),
    "two losses at once": Direct(LOSS._replace(losses=2), wire=2),
    "drain, snooze, expiry, loss, one attempt": Direct(Budget(0, 1, 1, 1, 1), max_attempts=1),
    "drain, crash, loss": Direct(Budget(1, 0, 1, 1, 0)),
    "drains and loss, nobody blamed": Direct(LOSS._replace(drains=2), blame=0),
    "overrun, drain, loss, nobody blamed": Direct(DRAIN_AND_LOSS._replace(overruns=1), blame=0),
    "two overruns, expiry": Direct(EXPIRY._replace(overruns=2), max_attempts=1),
    "overrun, crash, snooze": Direct(OVERRUN._replace(crashes=1, snoozes=1)),
    "expiry, at most one unstarted run blamed": Direct(EXPIRY, max_attempts=3, blame=1),
    "taken ahead, crash, expiry, one attempt": Direct(
        Budget(1, 1, 0, 0, 0, aheads=2), max_attempts=1
    ),
    "taken ahead, drain, loss": Direct(Budget(0, 0, 1, 1, 0, aheads=1)),
    "transaction, crash, expiry, loss": Direct(
        Budget(1, 1, 1, 0, 0), max_attempts=1, transaction=True
    ),
}


@pytest.mark.parametrize("model", SOUND.values(), ids=SOUND)
def test_no_interleaving_breaks_a_property(model: Direct) -> None:
    found = explore(model, limit=400_000)

    assert found.broken == {}
    assert found.states > 1_000


class Case(NamedTuple):
    """A twin, the smallest faults that reveal it, and the property that must fail."""

    twin: str
    fails: str
    budget: Budget
    max_attempts: int = 2
    transaction: bool = False
    blame: int | None = None

    @property
    def model(self) -> Direct:
        twin = DirectTwin(**dict.fromkeys(self.twin.split(" + "), True))
        return Direct(self.budget, twin, 2, *self[3:])


TWINS = [
    Case("insert_retried_under_new_id", properties.ONE_JOB, LOSS),
    Case("settle_without_state", properties.ONE_COMPLETION, LOSS),
    Case("settle_without_gen", properties.NO_LATE_START, LOSS),
    Case("settle_without_gen", properties.NO_LATE_START, EXPIRY),
    Case("settle_not_recognised", properties.TOLD, LOSS),
    Case("retry_without_gen", properties.ACCOUNTED, LOSS),
    Case("reap_without_gen", properties.ACCOUNTED, EXPIRY),
    Case("no_self_fence", properties.NO_LATE_START, EXPIRY),
    Case("judge_without_watching", properties.NO_LATE_START, EXPIRY),
    Case("beat_releases_nothing", CAN_FINISH, LOSS),
    Case("beat_releases_unreceived", properties.NO_LATE_START, QUIET),
    Case("forgone_reply_kept", properties.NO_LATE_START, OVERRUN),
    Case("beat_forgets_unsettled", properties.ATTEMPTS, QUIET, max_attempts=1),
    Case("release_ignores_gen", properties.NO_LATE_START, DRAIN_AND_LOSS._replace(drains=2)),
    Case("release_keeps_in_hand", properties.NO_LATE_START, DRAIN),
    Case("release_what_runs", properties.NO_OVERLAP, DRAIN),
    Case("release_by_silence", properties.ATTEMPTS, EXPIRY, max_attempts=1),
    Case("no_reaper", CAN_FINISH, CRASH),
    Case("claim_past_the_fence", properties.BLAME, EXPIRY, max_attempts=3, blame=1),
    Case("reap_once", CAN_FINISH, EXPIRY._replace(losses=1)),
    Case("reap_once", CAN_FINISH, CRASH._replace(losses=1)),
    Case("crash_not_counted", properties.ATTEMPTS, CRASH, max_attempts=1),
    Case("ahead_counts_as_crash", properties.UNCHARGED, AHEAD),
    Case("start_uncharged", properties.ATTEMPTS, AHEAD, max_attempts=1),
    Case(
        "start_though_the_charge_is_lost",
        properties.ATTEMPTS,
        AHEAD._replace(losses=1),
        max_attempts=1,
    ),
    Case("leaving_counts_as_crash", properties.BLAME, DRAIN_AND_LOSS, blame=0),
    Case("leaving_names_nothing", properties.ATTEMPTS, DRAIN, max_attempts=1),
    Case("leaving_keeps_the_rest", properties.NO_LATE_START, DRAIN),
    Case("forfeit_ignores_gen", properties.BLAME, OVERRUN._replace(losses=1), blame=0),
    Case("forfeit_is_a_release", properties.ATTEMPTS, OVERRUN, max_attempts=1),
    Case("effects_outside_the_settle", properties.EFFECTS, CRASH, transaction=True),
    Case("commit_without_fence", properties.EFFECTS, EXPIRY, transaction=True),
    # Belt and braces: each alone may be missing (see SPARE), never both.
    Case("release_without_gen + claim_without_gen", properties.NO_LATE_START, DRAIN_AND_LOSS),
    Case("fence_of_the_process + refusal_voids_nothing", properties.NO_LATE_START, EXPIRY),
]


@pytest.mark.parametrize("case", TWINS, ids=lambda case: f"{case.twin}, {case.fails}")
def test_a_broken_twin_fails_with_its_property(case: Case) -> None:
    found = explore(case.model, limit=30_000, until=case.fails)

    assert case.fails in found.broken


SPARE = [
    "claim_without_gen",
    "release_without_gen",
    "release_ignores_owner",
    "fence_of_the_process",
    "refusal_voids_nothing",
]


@pytest.mark.parametrize("twin", SPARE)
def test_another_rule_covers_for_a_spare_one(twin: str) -> None:
    broken = DirectTwin(**{twin: True})

    found = explore(Direct(Budget(0, 1, 1, 1, 0), broken, max_attempts=1), limit=60_000)

    assert found.broken == {}


def test_a_kill_costs_the_attempt_of_a_job_that_was_only_claimed() -> None:
    """The known price of claimed rows that count as started: a job may die without a run."""
    found = explore(Direct(CRASH, max_attempts=1, blame=0), limit=1_000)

    assert list(found.broken) == [properties.BLAME]
    assert "start" not in found.broken[properties.BLAME]
