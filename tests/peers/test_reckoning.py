"""What the harness reckons: percentiles, rates, tables, the account of a kill."""

import json
from collections import Counter

import pytest

from benchmarks.peers.catalogue import read_catalogue
from benchmarks.peers.figures import FIGURES, TABLES, Results, Sample, percentile
from benchmarks.peers.marks import rate_between
from benchmarks.peers.measures import REPEATED, jobs_for, latencies
from benchmarks.peers.plan import DEFAULT, FULL, QUICK, Plan, rotated
from benchmarks.peers.progress import expected_seconds
from benchmarks.peers.recovery import account
from benchmarks.peers.report import Report
from benchmarks.peers.tables import markdown_table, number

PEERS = {
    "arq", "awa-pg", "bullmq", "bullmq-postgresql", "bullmq-python", "celery", "dramatiq",
    "graphile-worker", "graphile-worker-local-queue", "headrace-direct", "headrace-hybrid", "huey",
    "oban", "pg-boss", "pgqueuer", "procrastinate", "rq", "saq", "streaq", "taskiq",
}  # fmt: skip


def test_every_peer_has_a_driver_and_a_pinned_version() -> None:
    catalogue = read_catalogue()
    assert {peer.name for peer in catalogue.peers} == PEERS
    for peer in catalogue.peers:
        assert peer.driver.is_file()
        pinned = "@" if peer.is_node else "=="
        assert peer.is_ours or all(pinned in package for package in peer.packages)


def test_peers_are_chosen_by_name_or_driver() -> None:
    catalogue = read_catalogue()
    assert [one.name for one in catalogue.only(["bullmq", "rq"])] == [
        "bullmq", "bullmq-postgresql", "rq",
    ]  # fmt: skip
    with pytest.raises(ValueError, match='no peer is named "sidekiq"'):
        catalogue.only(["sidekiq"])


def test_percentiles_are_values_that_were_measured() -> None:
    ordered = [float(one) for one in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.5) == 7


def test_latency_is_from_the_call_to_the_start() -> None:
    calls = [[number, number * 1_000_000] for number in range(100)]
    starts = {number: (2 * number + 1) * 1_000_000 for number in range(100)}
    assert latencies(calls, starts) == {"latency_p50": 50, "latency_p95": 95, "latency_p99": 99}


def test_a_rate_needs_two_jobs() -> None:
    starts = [0, 500_000_000, 1_000_000_000]
    assert rate_between(starts, 0, 2) == rate_between(starts, 0, 9) == 2
    with pytest.raises(ValueError, match="3 jobs ran"):
        rate_between(starts, 2, 2)


def test_a_backlog_fits_the_pace_of_its_workers() -> None:
    assert jobs_for(None, 1, DEFAULT) == DEFAULT.drain_most
    assert jobs_for(1.0, 1, DEFAULT) == 200
    assert jobs_for(1e9, 2, DEFAULT) == DEFAULT.drain_most
    assert jobs_for(1000.0, 2, DEFAULT) == 2 * jobs_for(1000.0, 1, DEFAULT)


def test_rounds_begin_with_another_peer() -> None:
    assert [rotated("abcd", turn)[0] for turn in range(5)] == ["a", "b", "c", "d", "a"]
    assert sorted(rotated("abcd", 3)) == list("abcd")
    assert rotated([], 1) == []


def test_the_account_of_a_kill() -> None:
    second = 1_000_000_000
    whole = account(3, [second, 2 * second, 4 * second], Counter([1, 2, 3]), held=0)
    assert whole["recovery"] == 4
    assert whole["recovery_lost"] == whole["recovery_twice"] == 0
    partly = account(3, [second, second], Counter([1, 1]), held=1)
    assert "recovery" not in partly
    assert (partly["recovery_rerun"], partly["recovery_lost"], partly["recovery_twice"]) == (
        1,
        1,
        1,
    )


def test_results_have_medians_ranges_and_a_best() -> None:
    results = Results()
    for rate, waited in ((10.0, 3.0), (30.0, 1.0), (20.0, 2.0)):
        results.add("ours", {"drain_1": rate, "latency_p50": waited})
    results.add("theirs", {"drain_1": 15.0, "latency_p50": 1.5})
    assert results.sample("ours", "drain_1") == Sample(20, 10, 30)
    assert results.sample("ours", "drain_2") is None
    assert results.best("drain_1") == 20
    assert results.best("latency_p50") == 1.5
    results.add("ours", {"recovery_lost": 0.0})
    assert results.has("recovery_lost")
    assert results.best("recovery_lost") is None


def test_tables_align_in_their_source() -> None:
    lines = markdown_table(["peer", "a rate"], [["one", "1"], ["the other", "12,345"]]).split("\n")
    assert len({len(line) for line in lines}) == 1
    assert lines[1] == "| --------- | -----: |"
    assert [number(value) for value in (1234.5, 12.34, 1.234, 0.0, 5.0)] == [
        "1,234", "12.3", "1.23", "0", "5",
    ]  # fmt: skip


def test_a_report_says_what_failed_and_what_was_not_in_time() -> None:
    peers = read_catalogue().only(["headrace-direct", "huey", "oban"])
    results = Results()
    results.add("headrace-direct", {"drain_1": 2000.0, "recovery": 16.0, "recovery_rerun": 50.0})
    results.add("huey", {"drain_1": 1000.0, "recovery_rerun": 0.0})
    results.fail("oban", "installation", "uv: no Python 3.12")
    told = {"docs": "D", "settings": "S", "durability": "at most once", "cannot": ""}
    facts = {"headrace-direct": told, "huey": told}
    report = Report(DEFAULT, peers, results, facts, {}, {"cores": 2})
    text = report.as_markdown()
    assert "* Oban, installation: uv: no Python 3.12" in text
    assert "not in 120 s" in text
    assert "**2,000**" in text
    assert "**1,000**" not in text
    assert "at most once" in text
    told = json.loads(report.as_json())
    assert told["peers"]["huey"]["samples"]["drain_1"] == [1000.0]
    assert (
        json.loads(Report(FULL, peers, results, facts, {}, {}).as_json())["plan"]["limit"] is None
    )


def test_every_figure_stands_in_one_table() -> None:
    listed = [name for names in TABLES.values() for name in names]
    assert sorted(listed) == sorted(FIGURES)


@pytest.mark.parametrize("plan", [DEFAULT, QUICK, FULL])
def test_every_step_has_a_time(plan: Plan) -> None:
    expected = expected_seconds(plan, 20)
    assert set(plan.only or REPEATED) <= expected.keys()
    assert all(seconds >= 0 for seconds in expected.values())


def test_the_default_run_fits_into_an_hour() -> None:
    peers = len(PEERS)
    expected = expected_seconds(DEFAULT, peers)
    rounds = DEFAULT.rounds * peers * sum(expected[name] for name in REPEATED)
    small = peers * sum(expected[f"backlog_{size}"] for size in DEFAULT.backlogs[:2])
    assert rounds + expected["recovery"] + small < 3600
