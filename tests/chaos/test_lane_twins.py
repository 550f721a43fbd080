"""The product passes each scenario of the lane; the twin without the rule fails it, as it must."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chaos import lane_scenarios as scenarios
from chaos.checker import Rule, broken_rules
from chaos.lane_twins import LANE_TWINS
from chaos.site import Site
from headrace.embedded import EmbeddedValkey

Scenario = Callable[[Site, EmbeddedValkey], Awaitable[None]]
CASES: tuple[tuple[str, Scenario, Rule], ...] = (
    ("ack_at_start", scenarios.a_worker_dies_in_a_run, Rule.UNFINISHED),
    ("no_lane_reaper", scenarios.a_worker_dies_in_a_run, Rule.UNFINISHED),
    ("put_again_as_it_was", scenarios.the_reply_of_a_put_is_lost, Rule.STARTED_AFTER_SETTLE),
    (
        "late_puts_are_believed",
        scenarios.a_put_comes_when_its_jobs_are_over,
        Rule.STARTED_AFTER_SETTLE,
    ),
    ("flags_are_ignored", scenarios.a_sweep_comes_when_its_job_is_over, Rule.STARTED_AFTER_SETTLE),
    ("no_sweep", scenarios.a_transaction_commits_behind_the_walk, Rule.UNFINISHED),
    ("redelivered_by_the_lane", scenarios.a_zombie_ends_after_all_is_over, Rule.OVERLAP),
    (
        "beat_releases_takes_in_flight",
        scenarios.a_beat_overtakes_the_reply_of_a_take,
        Rule.STARTED_AFTER_SETTLE,
    ),
    ("takes_without_a_lease", scenarios.a_take_arrives_after_the_lease, Rule.UNFINISHED),
    (
        "last_attempt_not_claimed",
        scenarios.the_lane_is_flushed_in_the_only_attempt,
        Rule.TOO_MANY_STARTS,
    ),
    ("no_epoch", scenarios.the_lane_comes_back_as_it_was, Rule.STARTED_AFTER_SETTLE),
    ("no_grace", scenarios.the_lane_is_flushed_in_a_run, Rule.STARTED_AFTER_SETTLE),
)
SCENARIOS = dict.fromkeys(scenario for _, scenario, _ in CASES)


@pytest.fixture
async def site(tmp_path: Path, migrated_url: str, valkey: EmbeddedValkey) -> Site:
    """A run whose lane has a server of its own."""
    site = Site(tmp_path, migrated_url, valkey.url)
    await site.prepare()
    return site


def name_of(value: object) -> str | None:
    name: str | None = getattr(value, "__name__", None)
    return name


@pytest.mark.parametrize("scenario", SCENARIOS, ids=name_of)
async def test_the_product_passes(site: Site, valkey: EmbeddedValkey, scenario: Scenario) -> None:
    await scenario(site, valkey)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)


@pytest.mark.parametrize(("twin", "scenario", "rule"), CASES, ids=[twin for twin, _, _ in CASES])
async def test_a_twin_fails(
    site: Site, valkey: EmbeddedValkey, twin: str, scenario: Scenario, rule: Rule
) -> None:
    await scenario(site.broken(twin), valkey)
    verdict = await site.verdict()
    assert broken_rules(verdict.violations)[rule], f"{twin} was not found out\n{verdict}"


def test_every_twin_has_its_scenario() -> None:
    assert {twin for twin, _, _ in CASES} == LANE_TWINS.keys()
