from chaos.checker import LedgerJob, Rule, check
from chaos.events import (
    AnyEvent,
    EnqueueReturned,
    Outcome,
    RunEnded,
    Settled,
    SettleSent,
    StartChecked,
)
from chaos.restored import Gap, survived

GAP = Gap(began=100, ended=200, noticed=300)
LIVE = LedgerJob("old", "completed", max_attempts=1, settled_gen=1)


def run(job: str, start: int, end: int) -> list[AnyEvent]:
    """A whole run of a job that its ledger accepted."""
    complete = Outcome.COMPLETE
    return [
        StartChecked(at=start, job=job, gen=1, worker="w", attempt=1, asked_at=start),
        RunEnded(at=end, job=job, gen=1, worker="w"),
        SettleSent(at=end, job=job, gen=1, worker="w", outcome=complete),
        Settled(at=end, job=job, gen=1, worker="w", outcome=complete, accepted=True),
    ]


def broken(history: list[AnyEvent], *ledger: LedgerJob) -> list[Rule]:
    known = [row.job for row in ledger]
    return [found.rule for found in check(survived(history, GAP, known), ledger)]


def test_what_was_completed_since_the_dump_runs_again() -> None:
    history = [EnqueueReturned(at=10, job="old"), *run("old", 90, 120), *run("old", 400, 410)]
    assert broken(history, LIVE) == []


def test_what_was_completed_before_the_dump_does_not() -> None:
    history = [EnqueueReturned(at=10, job="old"), *run("old", 20, 30), *run("old", 400, 410)]
    assert Rule.STARTED_AFTER_SETTLE in broken(history, LIVE)


def test_what_was_enqueued_before_the_dump_or_after_its_return_is_not_lost() -> None:
    for at in (10, 210):
        assert broken([EnqueueReturned(at=at, job="new")]) == [Rule.LOST]


def test_what_was_enqueued_in_between_is_gone_and_may_run_until_that_is_noticed() -> None:
    enqueued = EnqueueReturned(at=150, job="new")
    assert broken([enqueued, *run("new", 160, 250)]) == []
    assert Rule.PHANTOM in broken([enqueued, *run("new", 310, 320)])
