"""The product passes each scenario; the twin without the rule fails it, as it must."""

from collections.abc import Awaitable, Callable

import pytest

from chaos import direct_scenarios as scenarios
from chaos.checker import Rule, broken_rules
from chaos.direct_twins import DIRECT_TWINS
from chaos.site import Site

Scenario = Callable[[Site], Awaitable[None]]
CASES: tuple[tuple[str, Scenario, Rule], ...] = (
    ("settle_without_fence", scenarios.a_zombie_ends_after_all_is_over, Rule.COMPLETED_TWICE),
    (
        "effects_outside_the_settle",
        scenarios.a_zombie_with_effects_ends_after_all_is_over,
        Rule.EFFECTS,
    ),
    ("settle_without_gen", scenarios.a_zombie_ends_during_the_next_run, Rule.STALE_ACCEPTED),
    ("no_self_fence", scenarios.a_zombie_holds_unstarted_jobs, Rule.STARTED_AFTER_SETTLE),
    (
        "beat_releases_calls_in_flight",
        scenarios.a_beat_overtakes_the_reply_of_a_claim,
        Rule.STARTED_AFTER_SETTLE,
    ),
    ("reap_once", scenarios.a_claim_commits_after_the_judgement, Rule.UNFINISHED),
    ("reap_beyond_max_attempts", scenarios.a_worker_dies_in_the_only_attempt, Rule.TOO_MANY_STARTS),
    ("no_reaper", scenarios.a_worker_dies_in_the_only_attempt, Rule.UNFINISHED),
    ("settle_before_run", scenarios.a_worker_dies_in_a_run_with_effects, Rule.EFFECTS),
    ("insert_retried_under_new_id", scenarios.the_reply_of_an_insert_is_lost, Rule.STORED_TWICE),
)
SCENARIOS = dict.fromkeys(scenario for _, scenario, _ in CASES)


def name_of(value: object) -> str | None:
    name: str | None = getattr(value, "__name__", None)
    return name


@pytest.mark.parametrize("scenario", SCENARIOS, ids=name_of)
async def test_the_product_passes(site: Site, scenario: Scenario) -> None:
    await scenario(site)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)


@pytest.mark.parametrize(("twin", "scenario", "rule"), CASES, ids=[twin for twin, _, _ in CASES])
async def test_a_twin_fails(site: Site, twin: str, scenario: Scenario, rule: Rule) -> None:
    await scenario(site.broken(twin))
    verdict = await site.verdict()
    assert broken_rules(verdict.violations)[rule], f"{twin} was not found out\n{verdict}"


def test_every_twin_has_its_scenario() -> None:
    assert {twin for twin, _, _ in CASES} == DIRECT_TWINS.keys()
