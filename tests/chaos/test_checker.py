"""Each rule has a history that keeps it and one that breaks it, and it alone is reported."""

from dataclasses import replace

import msgspec
import pytest

from chaos.checker import CLOCKS_APART, LedgerJob, Rule, Violation, check
from chaos.events import (
    KILL,
    AnyEvent,
    CrashPointReached,
    EnqueueReturned,
    EnqueueUndone,
    FaultInjected,
    LeaseLost,
    Outcome,
    ProcessEnded,
    RunEnded,
    Settled,
    SettleSent,
    StartChecked,
)
from chaos.report import render, summarise
from chaos.story import stories

JOB = "job-1"
COMPLETED = LedgerJob(job=JOB, state="completed", max_attempts=3, settled_gen=1)


def enqueued(at: int = 1) -> AnyEvent:
    return EnqueueReturned(at=at, pid=1, job=JOB)


def started(
    at: int, gen: int = 1, worker: str = "w1", attempt: int = 1, **more: int
) -> StartChecked:
    asked_at = more.pop("asked_at", at - 1)
    return StartChecked(
        at=at,
        job=JOB,
        gen=gen,
        worker=worker,
        attempt=attempt,
        asked_at=asked_at,
        **{"pid": 10 + int(worker[1:]), **more},
    )


def ended(at: int, gen: int = 1, worker: str = "w1") -> AnyEvent:
    return RunEnded(at=at, pid=10 + int(worker[1:]), job=JOB, gen=gen, worker=worker)


def settled(
    at: int,
    gen: int = 1,
    worker: str = "w1",
    outcome: Outcome = Outcome.COMPLETE,
    *,
    accepted: bool = True,
) -> list[AnyEvent]:
    return [
        SettleSent(at=at, job=JOB, gen=gen, worker=worker, outcome=outcome),
        Settled(at=at + 2, job=JOB, gen=gen, worker=worker, outcome=outcome, accepted=accepted),
    ]


def broken(history: list[AnyEvent], *ledger: LedgerJob) -> list[Rule]:
    in_order = sorted(history, key=lambda event: event.at)
    return [violation.rule for violation in check(in_order, ledger)]


HAPPY: list[AnyEvent] = [enqueued(), started(10), ended(20), *settled(30)]


def test_a_happy_run_breaks_no_rule() -> None:
    assert broken(HAPPY, COMPLETED) == []


def test_nothing_at_all_breaks_no_rule() -> None:
    assert check([], []) == []


def test_a_job_that_was_promised_but_is_not_there_is_lost() -> None:
    assert broken([enqueued()]) == [Rule.LOST]


@pytest.mark.parametrize("state", ["live", "blocked"])
def test_a_job_that_is_not_terminal_is_unfinished(state: str) -> None:
    assert broken([enqueued()], replace(COMPLETED, state=state)) == [Rule.UNFINISHED]


def test_even_a_job_whose_enqueue_never_returned_must_finish() -> None:
    assert broken([], replace(COMPLETED, state="live")) == [Rule.UNFINISHED]


def test_two_rows_of_one_job_are_reported() -> None:
    assert broken(HAPPY, COMPLETED, COMPLETED) == [Rule.STORED_TWICE]


def test_a_run_of_a_job_that_was_rolled_back_is_a_phantom() -> None:
    assert broken([started(10), ended(20)]) == [Rule.PHANTOM]


def test_two_completions_of_different_generations_are_two() -> None:
    again = [started(31, gen=2, worker="w2"), *settled(41, gen=2, worker="w2")]
    assert broken([*HAPPY, *again], COMPLETED) == [Rule.COMPLETED_TWICE]


def test_a_completion_confirmed_again_to_its_own_worker_is_one() -> None:
    assert broken([*HAPPY, *settled(40)], COMPLETED) == []


def test_a_stale_completion_that_was_refused_is_none() -> None:
    zombie = settled(31, worker="w2", accepted=False)
    assert broken([*HAPPY, *zombie], COMPLETED) == []


def test_one_generation_settled_by_two_workers_is_reported() -> None:
    lost = LeaseLost(at=11, cause="flush")
    other = [started(12, worker="w2"), ended(15, worker="w2")]
    retried = settled(29, worker="w2", outcome=Outcome.RETRY)
    assert broken([*HAPPY, lost, *other, *retried], COMPLETED) == [Rule.TOKEN_SETTLED_TWICE]


def test_an_accepted_completion_must_be_in_the_ledger() -> None:
    row = replace(COMPLETED, state="dead", settled_gen=2)
    assert broken(HAPPY, row) == [Rule.SETTLE_UNDONE]


def test_a_completion_in_the_ledger_must_have_been_sent() -> None:
    assert broken([enqueued(), started(10), ended(20)], COMPLETED) == [Rule.COMPLETED_BY_NOBODY]
    assert broken(HAPPY, replace(COMPLETED, settled_gen=2)) == [Rule.COMPLETED_BY_NOBODY]


def test_a_completion_whose_reply_was_lost_was_sent() -> None:
    assert broken([*HAPPY[:-1]], COMPLETED) == []


def test_a_check_that_began_after_the_completion_was_in_is_a_violation() -> None:
    late = [started(50, gen=2, worker="w2", attempt=2, asked_at=33), ended(51, 2, "w2")]
    assert broken([*HAPPY, *late], COMPLETED) == [Rule.STARTED_AFTER_SETTLE]


def test_a_check_that_began_before_the_completion_was_in_is_a_zombie_only() -> None:
    slow = [started(50, gen=2, worker="w2", attempt=2, asked_at=31), ended(51, 2, "w2")]
    assert broken([*HAPPY, *slow], COMPLETED) == []


@pytest.mark.parametrize(("gen", "rules"), [(1, [Rule.STARTED_AFTER_SETTLE]), (2, [])])
def test_only_a_new_generation_starts_after_a_retry_was_settled(
    gen: int, rules: list[Rule]
) -> None:
    history = [
        enqueued(),
        started(10),
        ended(20),
        *settled(30, outcome=Outcome.RETRY),
        started(40, gen=gen, worker="w2", attempt=2),
        ended(45, gen, "w2"),
    ]
    done = settled(50, gen=2, worker="w2")
    assert broken([*history, *done], replace(COMPLETED, settled_gen=2)) == rules


@pytest.mark.parametrize(("xmin", "rules"), [(70, []), (71, [Rule.STARTED_AFTER_SETTLE])])
def test_the_ledgers_own_order_shows_a_start_after_the_commit(xmin: int, rules: list[Rule]) -> None:
    # The reply came late, at 32, but the ledger had ended transaction 70 before the check at 31.
    zombie = [started(31, gen=2, worker="w2", attempt=2, asked_at=31, ledger_xmin=xmin)]
    row = replace(COMPLETED, settled_xid=70)
    assert broken([*HAPPY, *zombie, ended(33, 2, "w2")], row) == rules


def test_a_job_bears_as_many_deaths_of_workers_as_it_has_attempts() -> None:
    starts: list[AnyEvent] = []
    for gen in range(1, 7):
        starts += [started(gen * 10, gen=gen, attempt=gen), ended(gen * 10 + 5, gen=gen)]
    done = settled(70, gen=6)
    row = replace(COMPLETED, settled_gen=6)
    assert broken([*starts, *done], replace(row, max_attempts=4)) == []
    assert broken([*starts, *done], replace(row, max_attempts=3)) == [
        Rule.TOO_MANY_STARTS,
        Rule.TOO_MANY_STARTS,
    ], "one for the number, one for the attempt that says so itself"


def test_max_attempts_bounds_the_outcomes() -> None:
    history: list[AnyEvent] = []
    for gen in range(1, 4):
        outcome = Outcome.RETRY if gen < 3 else Outcome.COMPLETE
        history += [started(gen * 10, gen=gen, attempt=gen), ended(gen * 10 + 5, gen=gen)]
        history += settled(gen * 10 + 7, gen=gen, outcome=outcome)
    row = replace(COMPLETED, settled_gen=3)
    assert broken(history, row) == []
    assert broken(history, replace(row, max_attempts=2)) == [Rule.TOO_MANY_STARTS]


def test_a_snooze_is_no_attempt() -> None:
    history = [
        started(10),
        ended(12),
        *settled(14, outcome=Outcome.SNOOZE),
        started(20, gen=2),
        ended(22, gen=2),
        *settled(24, gen=2),
    ]
    assert broken(history, replace(COMPLETED, max_attempts=1, settled_gen=2)) == []


def test_a_snooze_that_was_refused_excuses_no_start() -> None:
    history = [
        started(10),
        ended(12),
        started(20, gen=2, worker="w2"),
        *settled(24, outcome=Outcome.SNOOZE, accepted=False),
        ended(28, gen=2, worker="w2"),
        *settled(30, gen=2, worker="w2"),
    ]
    row = replace(COMPLETED, max_attempts=1, settled_gen=2)
    assert broken(history, row) == [Rule.TOO_MANY_STARTS]


def test_a_token_that_started_again_after_a_flush_and_snoozed_is_no_attempt() -> None:
    history = [
        started(10),
        LeaseLost(at=11, cause="flush"),
        started(12, worker="w2"),
        ended(14, worker="w2"),
        *settled(15, worker="w2", outcome=Outcome.SNOOZE),
        *settled(20, outcome=Outcome.SNOOZE, accepted=False),
        started(30, gen=2, worker="w3"),
        started(40, gen=3, worker="w4", attempt=2),
        *settled(50, gen=3, worker="w4"),
    ]
    row = replace(COMPLETED, max_attempts=2, settled_gen=3)
    assert broken(history, row) == []


def test_a_token_may_start_again_only_where_its_lease_was_lost_between() -> None:
    twice = [started(10), ended(12), started(20, worker="w2"), ended(22, worker="w2")]
    lost = LeaseLost(at=15, cause="flush")
    done = settled(30, worker="w2")
    row = replace(COMPLETED, max_attempts=2)
    thrice = [started(25, worker="w3"), ended(26, worker="w3")]
    more = [started(27, worker="w4"), ended(28, worker="w4"), *thrice]
    last = [started(28, worker="w5"), ended(29, worker="w5")]
    assert broken([*twice, lost, *more, *done], row) == []
    assert broken([*twice, lost, *more, *last, *done], row) == []
    assert broken([*twice, *more, *last, *done], row) == [Rule.TOO_MANY_STARTS]


def test_a_start_that_the_lane_forgot_counts_in_no_later_generation() -> None:
    died = [started(10), ended(12)]
    again = [started(20, gen=2, worker="w2"), ended(22, gen=2, worker="w2")]
    counted = [started(20, gen=2, worker="w2", attempt=2), ended(22, gen=2, worker="w2")]
    others = [
        started(30, gen=3, worker="w3", attempt=2),
        ended(32, gen=3, worker="w3"),
        started(40, gen=4, worker="w4", attempt=3),
        ended(42, gen=4, worker="w4"),
        started(50, gen=5, worker="w5", attempt=4),
        *settled(60, gen=5, worker="w5"),
    ]
    row = replace(COMPLETED, max_attempts=2, settled_gen=5)
    lost = LeaseLost(at=15, cause="epoch")
    assert broken([*died, lost, *again, *others], row) == []
    assert broken([*died, *again, *others], row) == [Rule.TOO_MANY_STARTS]
    assert broken([*died, lost, *counted, *others], row) == [Rule.TOO_MANY_STARTS]


def test_the_last_attempt_never_starts_again_though_its_lease_was_lost() -> None:
    twice = [started(10), ended(12), started(20, worker="w2"), ended(22, worker="w2")]
    history = [*twice, LeaseLost(at=15, cause="flush"), *settled(30, worker="w2")]
    assert broken(history, replace(COMPLETED, max_attempts=1)) == [Rule.TOO_MANY_STARTS]


OVERLAPPING: list[AnyEvent] = [
    started(10),
    started(15, worker="w2"),
    ended(20),
    ended(21, worker="w2"),
    *settled(30),
]


def test_one_token_at_two_workers_at_once_is_an_overlap() -> None:
    assert broken(OVERLAPPING, COMPLETED) == [Rule.OVERLAP]


@pytest.mark.parametrize(
    ("loss", "rules"),
    [
        (LeaseLost(at=12, cause="flush"), []),
        (LeaseLost(at=12, cause="reaped", job=JOB), [Rule.OVERLAP]),
        (LeaseLost(at=12, cause="silent", worker="w1"), [Rule.OVERLAP]),
        (LeaseLost(at=9, cause="too early"), [Rule.OVERLAP]),
        (LeaseLost(at=16, cause="too late"), [Rule.OVERLAP]),
        (LeaseLost(at=12, cause="reaped", job="another"), [Rule.OVERLAP]),
        (LeaseLost(at=12, cause="silent", worker="w2"), [Rule.OVERLAP]),
    ],
)
def test_a_lost_lease_excuses_an_overlap_only_if_it_lies_between(
    loss: LeaseLost, rules: list[Rule]
) -> None:
    assert broken([*OVERLAPPING, loss], COMPLETED) == rules


@pytest.mark.parametrize(
    "death",
    [
        FaultInjected(at=13, pid=1, kind=KILL, victim=11),
        CrashPointReached(at=13, pid=11, name="lane.take:after"),
        ProcessEnded(at=13, pid=1, role="worker", child=11, status=-9),
    ],
)
def test_a_run_is_over_when_its_process_dies(death: AnyEvent) -> None:
    history: list[AnyEvent] = [started(10), death, started(15, worker="w2"), ended(21, worker="w2")]
    assert broken([*history, *settled(30, worker="w2")], COMPLETED) == []


def test_a_stopped_process_is_not_dead() -> None:
    stop = FaultInjected(at=13, pid=1, kind="stop", victim=11)
    history: list[AnyEvent] = [started(10), stop, started(15, worker="w2"), ended(21, worker="w2")]
    assert broken([*history, *settled(30, worker="w2")], COMPLETED) == [Rule.OVERLAP]


def test_a_process_id_used_again_is_another_process() -> None:
    death = ProcessEnded(at=5, pid=1, role="worker", child=11, status=-9)
    assert broken([death, *OVERLAPPING], COMPLETED) == [Rule.OVERLAP]


@pytest.mark.parametrize(
    ("effects", "state", "rules"),
    [
        (1, "completed", []),
        (0, "completed", [Rule.EFFECTS]),
        (2, "completed", [Rule.EFFECTS]),
        (0, "dead", []),
        (1, "dead", [Rule.EFFECTS]),
    ],
)
def test_transactional_effects_are_exactly_one_per_completed_job(
    effects: int, state: str, rules: list[Rule]
) -> None:
    outcome = Outcome.COMPLETE if state == "completed" else Outcome.DEAD
    history = [started(10), ended(20), *settled(30, outcome=outcome)]
    assert broken(history, replace(COMPLETED, state=state, effects=effects)) == rules


def test_the_report_names_rule_job_and_counts() -> None:
    history: list[AnyEvent] = [
        enqueued(),
        started(10),
        FaultInjected(at=13, pid=1, kind=KILL, victim=11),
        LeaseLost(at=14, cause="reaped"),
        started(2_000_000_013, gen=2, worker="w2", attempt=2),
        CrashPointReached(at=2_000_000_014, pid=12, name="ledger.settle:after"),
    ]
    ledger = [replace(COMPLETED, state="live")]
    page = render(summarise(history, ledger), check(history, ledger))
    assert page.splitlines() == [
        "1 violations: 1 jobs enqueued, 2 runs",
        "",
        "1 x unfinished: not terminal at quiescence",
        "  job-1: state live",
        "",
        "states: live 1",
        "processes: none",
        "faults: kill 1",
        "crash points: ledger.settle:after 1",
        "leases lost: reaped 1",
        "reruns: 1, killed runs: 2",
        "zombie overlaps: 0, refused settles: 0",
        "recovery of 1 killed runs: median 2.000 s, worst 2.000 s",
    ]


def test_of_a_job_that_broke_a_rule_all_that_is_told_is_shown() -> None:
    history: list[AnyEvent] = [
        enqueued(),
        started(1_000_000_001),
        FaultInjected(at=1_500_000_001, pid=1, kind=KILL, victim=11),
        FaultInjected(at=1_600_000_001, pid=1, kind=KILL, victim=99),
        LeaseLost(at=1_700_000_001, cause="epoch"),
        LeaseLost(at=1_800_000_001, cause="epoch"),
        LeaseLost(at=1_900_000_001, cause="bumped", job="another"),
    ]
    (story,) = stories(history, check(history, [replace(COMPLETED, state="live")]))
    assert story.splitlines() == [
        "job-1, seconds since its first line:",
        "     0.000  enqueue_returned pid=1",
        "     1.000  start_checked gen=1 worker=w1 attempt=1 pid=11",
        "     1.500  fault_injected kind=kill victim=11 pid=1",
        "     1.700 until 1.800  lease_lost cause=epoch",
    ]


def test_the_report_of_a_clean_run_says_so_first() -> None:
    assert render(summarise(HAPPY, [COMPLETED]), []).startswith("clean: 1 jobs enqueued, 1 runs\n")


def test_the_report_shows_a_few_jobs_of_each_rule_and_counts_the_rest() -> None:
    violations = [Violation(Rule.LOST, f"job-{n}", "enqueue returned") for n in range(13)]
    assert "  and 3 more" in render(summarise([], []), violations)


def test_two_jobs_of_one_request_are_reported() -> None:
    one, two = replace(COMPLETED, request="a"), replace(COMPLETED, job="job-2", request="b")
    run = [StartChecked(job="job-2", gen=1, worker="w9", attempt=1, asked_at=9, at=10)]
    end = [
        SettleSent(at=20, job="job-2", gen=1, worker="w9", outcome=Outcome.COMPLETE),
    ]
    assert broken([*HAPPY, *run, *end], one, two) == []
    assert broken([*HAPPY, *run, *end], one, replace(two, request="a")) == [Rule.STORED_TWICE]


def test_a_job_of_a_rolled_back_transaction_must_not_be_there() -> None:
    undone = EnqueueUndone(at=2, pid=1, job=JOB)
    assert broken([undone]) == []
    assert broken([*HAPPY[1:], undone], COMPLETED) == [Rule.UNDONE]


def test_a_retry_accepted_after_a_later_start_is_stale() -> None:
    late = [started(5, gen=1, worker="w2"), *settled(40, worker="w2", outcome=Outcome.RETRY)]
    rerun = [started(10, gen=2), *settled(50, gen=2)]
    row = replace(COMPLETED, settled_gen=2)
    assert broken([enqueued(), *late, *rerun], row) == [Rule.STALE_ACCEPTED]


def test_a_retry_first_sent_before_the_later_start_is_not_stale() -> None:
    early = [started(5, gen=1, worker="w2"), *settled(8, worker="w2", outcome=Outcome.RETRY)]
    again = settled(40, worker="w2", outcome=Outcome.RETRY)
    rerun = [started(10, gen=2), *settled(50, gen=2)]
    row = replace(COMPLETED, settled_gen=2)
    assert broken([enqueued(), *early[:2], *again, *rerun], row) == []


def test_a_start_after_the_commit_is_reported_though_its_reply_was_lost() -> None:
    row = replace(COMPLETED, committed_at=100)
    sent = settled(30)[0]
    asked = 100 + CLOCKS_APART
    zombie = started(asked + 9, worker="w2", asked_at=asked + 1)
    lost = LeaseLost(at=40, cause="flush")
    history = [enqueued(), started(10), ended(20), sent, lost]
    assert broken([*history, replace_asked(zombie, asked)], row) == []
    assert broken([*history, zombie], row) == [Rule.STARTED_AFTER_SETTLE]


def replace_asked(start: StartChecked, asked_at: int) -> StartChecked:
    return msgspec.structs.replace(start, asked_at=asked_at)
