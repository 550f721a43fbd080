"""Lane mode keeps its promises in every interleaving, and each rule is there for a reason."""

from typing import NamedTuple

import pytest

from model import properties
from model.explorer import CAN_FINISH, explore
from model.lane import Lane
from model.lane_state import Budget, LaneTwin

QUIET = Budget()
CRASH = Budget(crashes=1)
EXPIRY = Budget(expiries=1)
LOSS = Budget(losses=1)
FLUSH = Budget(flushes=1)
FAILOVER = Budget(failovers=1)
FLUSH_AND_CRASH = Budget(flushes=1, crashes=1)
FLUSH_AND_EXPIRY = Budget(flushes=1, expiries=1)
CANCEL = Budget(cancels=1)
SWITCH = Budget(switches=1)
PROMISE = Budget(promises=1)

SOUND = {
    "crash, expiry": Lane(Budget(crashes=1, expiries=1)),
    "loss, failure": Lane(Budget(losses=1, failures=1)),
    "loss, expiry": Lane(Budget(losses=1, expiries=1), pushes=False),
    "crash, drain, failure": Lane(Budget(crashes=1, drains=1, failures=1), pushes=False),
    "flush, crash": Lane(FLUSH_AND_CRASH),
    "flush, worker cut off": Lane(FLUSH_AND_EXPIRY, pushes=False),
    "flush, worker cut off, verified by a claim": Lane(
        FLUSH_AND_EXPIRY, pushes=False, claim_after_loss=True
    ),
    "overrun, expiry": Lane(Budget(overruns=1, expiries=1), pushes=False),
    "overrun, loss, one attempt": Lane(Budget(overruns=1, losses=1), pushes=False, max_attempts=1),
    "failover": Lane(FAILOVER),
    "failover, crash": Lane(Budget(failovers=1, crashes=1), pushes=False),
    "failover, worker cut off": Lane(Budget(failovers=1, expiries=1), pushes=False),
    "one attempt: crash, flush": Lane(FLUSH_AND_CRASH, max_attempts=1),
    "one attempt: expiry": Lane(EXPIRY, max_attempts=1),
    "one attempt: loss": Lane(LOSS, max_attempts=1),
    "cancel, one attempt": Lane(CANCEL, max_attempts=1),
    "cancel, crash": Lane(Budget(cancels=1, crashes=1), pushes=False),
    "cancel, expiry": Lane(Budget(cancels=1, expiries=1), pushes=False),
    "cancel, loss": Lane(Budget(cancels=1, losses=1), pushes=False),
    "cancel, flush": Lane(Budget(cancels=1, flushes=1)),
    "taken ahead, failure, drain": Lane(Budget(aheads=2, failures=1, drains=1), pushes=False),
    "taken ahead, expiry": Lane(Budget(aheads=1, expiries=1), pushes=False),
    "taken ahead, loss, crash": Lane(
        Budget(aheads=1, losses=1, crashes=1), pushes=False, workers=1
    ),
    "taken ahead, one attempt, crash, loss": Lane(
        Budget(aheads=1, crashes=1, losses=1), pushes=False, max_attempts=1
    ),
    "taken ahead, flush, crash": Lane(
        Budget(aheads=1, flushes=1, crashes=1), pushes=False, workers=1
    ),
    "restore": Lane(Budget(restores=1), pushes=False),
    "restore, crash, pushed": Lane(Budget(restores=1, crashes=1), workers=1),
    "restore, flush": Lane(Budget(restores=1, flushes=1), pushes=False, workers=1),
    "switch": Lane(Budget(switches=1)),
    "switch, loss, drain": Lane(Budget(switches=1, losses=1, drains=1), pushes=False),
    "switch, drain, failure": Lane(Budget(switches=1, drains=1, failures=1), pushes=False),
    "switch, failover": Lane(Budget(switches=1, failovers=1), pushes=False),
    "switch, crash": Lane(Budget(switches=1, crashes=1), pushes=False),
    "switch, worker cut off": Lane(Budget(switches=1, expiries=1), pushes=False),
    "switch, flush": Lane(Budget(switches=1, flushes=1), pushes=False),
    "switch, taken ahead": Lane(Budget(switches=1, aheads=1), pushes=False),
    "switch, overrun": Lane(Budget(switches=1, overruns=1), pushes=False),
    "switch, and again": Lane(Budget(switches=2), pushes=False),
    "switch, one attempt, crash": Lane(Budget(switches=1, crashes=1), pushes=False, max_attempts=1),
    "restore, failure, crash": Lane(
        Budget(restores=1, failures=1, crashes=1), pushes=False, workers=1
    ),
    "strict, expiry": Lane(EXPIRY, strict=True),
    "strict, flush, worker cut off": Lane(FLUSH_AND_EXPIRY, pushes=False, strict=True),
    "strict, failover": Lane(FAILOVER, strict=True),
    "strict, flush, crash": Lane(FLUSH_AND_CRASH, pushes=False, strict=True),
    "strict, switch, crash": Lane(Budget(switches=1, crashes=1), pushes=False, strict=True),
    "strict, taken ahead, loss": Lane(Budget(aheads=1, losses=1), pushes=False, strict=True),
    "becomes strict, expiry": Lane(Budget(promises=1, expiries=1), pushes=False),
    "becomes strict, flush, crash": Lane(Budget(promises=1, flushes=1, crashes=1), pushes=False),
    "becomes strict, switch": Lane(Budget(promises=1, switches=1), pushes=False),
}


@pytest.mark.parametrize("model", SOUND.values(), ids=SOUND)
def test_no_interleaving_breaks_a_property(model: Lane) -> None:
    found = explore(model, limit=250_000)

    assert found.broken == {}
    assert found.states > 1_000


class Case(NamedTuple):
    """A twin, the smallest faults that reveal it, and the property that must fail."""

    twin: str
    fails: str
    budget: Budget = QUIET
    max_attempts: int = 9
    workers: int = 2
    strict: bool = False

    @property
    def model(self) -> Lane:
        twin = LaneTwin(**dict.fromkeys(self.twin.split(" + "), True))
        pushes = not (self.budget.restores or self.budget.switches)
        return Lane(
            self.budget,
            twin,
            max_attempts=self.max_attempts,
            workers=self.workers,
            pushes=pushes,
            strict=self.strict,
        )


TWINS = [
    Case("no_sweep", CAN_FINISH),
    Case("late_put_unflagged", properties.NO_LATE_START),
    Case("second_put_unflagged", properties.NO_LATE_START, LOSS),
    Case("relay_put_unflagged", properties.NO_LATE_START),
    Case("no_tombstone", properties.NO_LATE_START),
    Case("no_lease", CAN_FINISH, CRASH),
    Case("no_self_fence", properties.NO_LATE_START, EXPIRY),
    Case("ack_before_settle", properties.NO_LATE_START),
    Case("release_unflagged", properties.NO_LATE_START),
    Case("beat_releases_nothing", CAN_FINISH, LOSS),
    Case("beat_releases_unreceived", properties.NO_LATE_START),
    Case("forgone_reply_kept", properties.NO_LATE_START, Budget(overruns=1)),
    Case("late_beat_voids_nothing", properties.NO_LATE_START, EXPIRY),
    Case("late_beat_keeps_the_reply", properties.NO_LATE_START, EXPIRY),
    Case("expired_condemns_nothing", properties.NO_LATE_START, EXPIRY),
    Case("no_reaper", CAN_FINISH, CRASH),
    Case("reaper_redelivers_in_the_lane", properties.ONE_RUN_PER_TOKEN, EXPIRY),
    Case("bump_without_epoch", properties.NO_LATE_START, FLUSH_AND_CRASH),
    Case("bump_blames_the_unclaimed", properties.UNCHARGED, CRASH, max_attempts=1),
    Case("last_attempt_not_claimed", properties.CHARGED, FLUSH_AND_CRASH, max_attempts=1),
    Case("start_uncharged", properties.CHARGED, Budget(aheads=1, crashes=1)),
    Case("start_uncharged", properties.CHARGED, Budget(aheads=1, crashes=1), max_attempts=1),
    Case(
        "start_though_the_charge_is_lost",
        properties.CHARGED,
        Budget(aheads=1, crashes=1, losses=1),
        workers=1,
    ),
    Case("no_grace", properties.ONE_RUN_PER_TOKEN, FLUSH),
    Case("old_reply_kept", properties.ONE_RUN_PER_TOKEN, FLUSH),
    Case("no_verify_all", properties.NO_LATE_START, FAILOVER),
    Case("verify_all_ends_by_time", properties.NO_LATE_START, FAILOVER),
    Case("cancel_without_flag", properties.NO_START_AFTER_CANCEL, CANCEL),
    Case("cancel_leaves_no_tombstone", properties.NO_START_AFTER_CANCEL, CANCEL),
    Case("cancel_looks_once", properties.NO_START_AFTER_CANCEL, CANCEL),
    Case("cancel_trusts_any_epoch", properties.NO_START_AFTER_CANCEL, FLUSH._replace(cancels=1)),
    Case("reprioritise_blindly", properties.NO_OVERLAP, Budget(changes=1)),
    Case(
        "newer_than_the_ledger_is_kept",
        CAN_FINISH,
        Budget(restores=1, failures=1, crashes=1),
        workers=1,
    ),
    Case("later_epoch_not_passed", CAN_FINISH, Budget(restores=1, flushes=1), workers=1),
    Case("heed_keeps_the_reply", properties.NO_LATE_START, SWITCH),
    Case("heeds_after_it_said_so", properties.NO_LATE_START, SWITCH),
    Case("said_before_adopted", properties.NO_LATE_START, SWITCH),
    Case("adopts_by_old_names", properties.NO_LATE_START, SWITCH._replace(drains=1)),
    Case("releases_by_the_loops_word", properties.NO_LATE_START, SWITCH._replace(drains=1)),
    Case(
        "adopt_without_epoch",
        properties.NO_LATE_START,
        SWITCH._replace(losses=1, drains=1),
    ),
    Case("calm_by_majority", properties.NO_LATE_START, SWITCH),
    Case("claim_before_calm", properties.NO_LATE_START, SWITCH),
    Case("late_beat_heeds_nothing", properties.NO_LATE_START, SWITCH._replace(expiries=1)),
    Case("strict_not_claimed", properties.CLAIMED, strict=True),
    Case("strict_not_claimed", properties.OVERTAKEN, FLUSH_AND_EXPIRY, strict=True),
    Case("unclaimed_start_though_strict", properties.CLAIMED, PROMISE),
    Case("promise_kept_at_once", properties.CLAIMED, PROMISE),
    # Belt and braces: each alone may be missing after a flush (see below), never both.
    Case("no_verify_all + put_without_epoch", properties.NO_LATE_START, FLUSH),
]


@pytest.mark.parametrize("case", TWINS, ids=lambda case: f"{case.twin}, {case.fails}")
def test_a_broken_twin_fails_with_its_property(case: Case) -> None:
    found = explore(case.model, limit=60_000, until=case.fails)

    assert case.fails in found.broken


FINAL = LaneTwin(
    expired_condemns_nothing=True, late_beat_voids_nothing=True, late_beat_keeps_the_reply=True
)
SPARE = {
    "condemned entries and voids of late beats, if expired is final": Lane(
        EXPIRY, FINAL, expired_is_final=True
    ),
    "the same, with a drain": Lane(
        Budget(expiries=1, drains=1), FINAL, pushes=False, expired_is_final=True
    ),
    "the same, with a loss": Lane(
        Budget(expiries=1, losses=1), FINAL, pushes=False, expired_is_final=True
    ),
    "the same, with a flush": Lane(FLUSH_AND_EXPIRY, FINAL, pushes=False, expired_is_final=True),
    "put_without_epoch": Lane(FLUSH, LaneTwin(put_without_epoch=True)),
    "no_verify_all after a flush": Lane(FLUSH, LaneTwin(no_verify_all=True)),
    "no_verify_all, if entries know the epoch of their put": Lane(
        FAILOVER, LaneTwin(no_verify_all=True), entry_epochs=True
    ),
    "strange_lane_kept": Lane(
        Budget(restores=1, crashes=1), LaneTwin(strange_lane_kept=True), pushes=False, workers=1
    ),
    "reaper_puts_owned_rows": Lane(EXPIRY, LaneTwin(reaper_puts_owned_rows=True), max_attempts=1),
}


@pytest.mark.parametrize("model", SPARE.values(), ids=SPARE)
def test_another_rule_covers_for_a_spare_one(model: Lane) -> None:
    found = explore(model, limit=30_000)

    assert found.broken == {}
