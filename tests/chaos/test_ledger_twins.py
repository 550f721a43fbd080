"""The product passes each scenario; the twin without the rule fails it, as it must."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from chaos import ledger_scenarios as scenarios
from chaos.checker import Rule, broken_rules
from chaos.ledger_twins import LEDGER_TWINS
from chaos.site import Mode, Site

Scenario = Callable[[Site], Awaitable[None]]


class Case(NamedTuple):
    """A twin, what reveals it, the rule that must be broken, and the modes that have it."""

    twin: str
    scenario: Scenario
    rule: Rule
    modes: tuple[Mode, ...] = tuple(Mode)


CASES = (
    Case("settle_without_fence", scenarios.a_zombie_ends_after_all_is_over, Rule.COMPLETED_TWICE),
    Case(
        "effects_outside_the_settle",
        scenarios.a_zombie_with_effects_ends_after_all_is_over,
        Rule.EFFECTS,
    ),
    Case("settle_without_gen", scenarios.a_zombie_ends_during_the_next_run, Rule.STALE_ACCEPTED),
    Case("no_self_fence", scenarios.a_zombie_holds_unstarted_jobs, Rule.STARTED_AFTER_SETTLE),
    Case(
        "beat_releases_calls_in_flight",
        scenarios.a_beat_overtakes_the_reply_of_a_claim,
        Rule.STARTED_AFTER_SETTLE,
        modes=(Mode.DIRECT,),
    ),
    Case(
        "reap_once",
        scenarios.a_claim_commits_after_the_judgement,
        Rule.UNFINISHED,
        modes=(Mode.DIRECT,),
    ),
    Case(
        "reap_beyond_max_attempts",
        scenarios.a_worker_dies_in_the_only_attempt,
        Rule.TOO_MANY_STARTS,
    ),
    Case("no_reaper", scenarios.a_worker_dies_in_the_only_attempt, Rule.UNFINISHED),
    Case("settle_before_run", scenarios.a_worker_dies_in_a_run_with_effects, Rule.EFFECTS),
    Case(
        "insert_retried_under_new_id", scenarios.the_reply_of_an_insert_is_lost, Rule.STORED_TWICE
    ),
)
BROKEN = [
    pytest.param(mode, case, id=f"{case.twin}-{mode}") for case in CASES for mode in case.modes
]
SOUND = [
    pytest.param(mode, scenario, id=f"{scenario.__name__}-{mode}")
    for scenario, mode in dict.fromkeys((c.scenario, mode) for c in CASES for mode in c.modes)
]


@pytest.mark.parametrize(("site", "scenario"), SOUND, indirect=["site"])
async def test_the_product_passes(site: Site, scenario: Scenario) -> None:
    await scenario(site)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)


@pytest.mark.parametrize(("site", "case"), BROKEN, indirect=["site"])
async def test_a_twin_fails(site: Site, case: Case) -> None:
    await case.scenario(site.broken(case.twin))
    verdict = await site.verdict()
    assert broken_rules(verdict.violations)[case.rule], f"{case.twin} was not found out\n{verdict}"


def test_every_twin_has_its_scenario() -> None:
    assert {case.twin for case in CASES} == LEDGER_TWINS.keys()
