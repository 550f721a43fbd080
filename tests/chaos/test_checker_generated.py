"""The checker never accuses a correct run, and finds any single defect put into one."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
from hypothesis import given, settings

from chaos.checker import LedgerJob, Rule, broken_rules, check
from chaos.events import AnyEvent, EnqueueUndone, Outcome, Settled, StartChecked
from chaos.lives import correct_runs
from chaos.report import render, summarise

Run = tuple[list[AnyEvent], list[LedgerJob]]


@given(correct_runs())
@settings(max_examples=100, deadline=None)
def test_a_correct_run_is_never_accused(run: Run) -> None:
    history, ledger = run
    assert check(history, ledger) == []
    assert render(summarise(history, ledger), []).startswith("clean")


def lost(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    return history, ledger[1:]


def unfinished(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    return history, [replace(ledger[0], state="live"), *ledger[1:]]


def stored_twice(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    return history, [*ledger, ledger[0]]


def phantom(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    start = next(event for event in history if isinstance(event, StartChecked))
    return [*history, msgspec.structs.replace(start, job="phantom", at=NOW, asked_at=NOW)], ledger


def completed_twice(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    settled = completion(history)
    return [*history, msgspec.structs.replace(settled, gen=settled.gen + 1)], ledger


def token_settled_twice(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    return [*history, msgspec.structs.replace(completion(history), worker="other")], ledger


def undone(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    job = completion(history).job
    return history, [replace(row, state="dead") if row.job == job else row for row in ledger]


def kept_though_rolled_back(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    return [*history, EnqueueUndone(job=ledger[0].job, at=NOW)], ledger


def stale(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    settled = completion(history)
    start = next(e for e in history if isinstance(e, StartChecked) and e.job == settled.job)
    later = msgspec.structs.replace(start, gen=settled.gen + 1, worker="later", at=0, asked_at=0)
    return [later, *history], ledger


def unexplained(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    job = completion(history).job
    return history, [replace(row, settled_gen=99) if row.job == job else row for row in ledger]


def started_late(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    job = completion(history).job
    start = next(e for e in history if isinstance(e, StartChecked) and e.job == job)
    late = msgspec.structs.replace(start, at=NOW + 1, asked_at=NOW, gen=99, worker="late")
    return [*history, late], ledger


def one_start_too_many(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    job = completion(history).job
    return history, [replace(row, max_attempts=0) if row.job == job else row for row in ledger]


def overlap(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    index, start = next((i, e) for i, e in enumerate(history) if isinstance(e, StartChecked))
    twin = msgspec.structs.replace(start, at=start.at + 1, worker="twin", pid=99_999)
    return [*history[: index + 1], twin, *history[index + 1 :]], ledger


def two_effects(history: list[AnyEvent], ledger: list[LedgerJob]) -> Run:
    return history, [replace(ledger[0], effects=2), *ledger[1:]]


NOW = 10**9
DEFECTS: dict[Rule, Callable[[list[AnyEvent], list[LedgerJob]], Run]] = {
    Rule.LOST: lost,
    Rule.UNFINISHED: unfinished,
    Rule.STORED_TWICE: stored_twice,
    Rule.PHANTOM: phantom,
    Rule.COMPLETED_TWICE: completed_twice,
    Rule.TOKEN_SETTLED_TWICE: token_settled_twice,
    Rule.SETTLE_UNDONE: undone,
    Rule.UNDONE: kept_though_rolled_back,
    Rule.STALE_ACCEPTED: stale,
    Rule.COMPLETED_BY_NOBODY: unexplained,
    Rule.STARTED_AFTER_SETTLE: started_late,
    Rule.TOO_MANY_STARTS: one_start_too_many,
    Rule.OVERLAP: overlap,
    Rule.EFFECTS: two_effects,
}


def completion(history: list[AnyEvent]) -> Settled:
    return next(
        event
        for event in history
        if isinstance(event, Settled) and event.accepted and event.outcome is Outcome.COMPLETE
    )


def test_every_rule_has_a_defect() -> None:
    assert DEFECTS.keys() == set(Rule)


@given(correct_runs(completing=True))
@settings(max_examples=25, deadline=None)
def test_a_defect_put_into_a_correct_run_is_found(run: Run) -> None:
    history, ledger = run
    for rule, put_into in DEFECTS.items():
        assert broken_rules(check(*put_into(history, ledger)))[rule] > 0, rule
