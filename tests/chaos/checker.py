"""What must hold over the history of a chaos run and the ledger it left, as pure set logic.

A rule that speaks of "after" compares a time read before one call with a time read after the reply
of another, so that no delay of a process can make a correct run look wrong.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain

from chaos.events import (
    AnyEvent,
    EnqueueReturned,
    EnqueueUndone,
    LeaseLost,
    Outcome,
    Settled,
    SettleSent,
    StartChecked,
)
from chaos.runs import NEVER, Run, data_lost_between, runs_by_job

STATE_AFTER = {
    Outcome.COMPLETE: "completed",
    Outcome.CANCEL: "cancelled",
    Outcome.DEAD: "dead",
}
# What two clocks of one machine may drift apart during a run (ns).
CLOCKS_APART = 50_000_000
TERMINAL_STATES = frozenset(STATE_AFTER.values())


class Rule(StrEnum):
    """Each property, named by what breaks it."""

    LOST = "lost: the producer was told it is durable, the ledger has no such job"
    UNFINISHED = "unfinished: not terminal at quiescence"
    STORED_TWICE = "stored twice: two rows of one job, or two jobs of one request"
    UNDONE = "undone: its transaction was rolled back, the ledger has it"
    PHANTOM = "phantom: it ran, the ledger has no such job"
    COMPLETED_TWICE = "completed twice: two different terminal settles were accepted"
    TOKEN_SETTLED_TWICE = "token settled twice: two settles of one generation were accepted"
    SETTLE_UNDONE = "settle undone: an accepted terminal outcome is not what the ledger holds"
    COMPLETED_BY_NOBODY = "completed by nobody: no worker sent the completion the ledger holds"
    STALE_ACCEPTED = "stale accepted: a settle sent after a later generation had started"
    STARTED_AFTER_SETTLE = "started after settle: its fence check began after the settle was in"
    TOO_MANY_STARTS = "too many starts: more outcomes than max_attempts, or too many deaths"
    OVERLAP = "overlap: one token ran twice at once and the lane lost no data between"
    EFFECTS = "effects: those of ctx.transaction() are not exactly one per completed job"


@dataclass(frozen=True)
class LedgerJob:
    """A row of the ledger at quiescence.

    Attributes:
        state: as stored: live, blocked, completed, dead or cancelled.
        settled_gen: the generation whose settle ended it, if one did.
        settled_xid: the transaction that wrote the row last (its xmin), if known.
        committed_at: when that transaction committed, on the clock of the history (ns), if known.
        effects: rows that its handler's transactions left, or None where it opens none.
        request: the producer's name for what it asked for once, or None where it has none.
    """

    job: str
    state: str
    max_attempts: int
    settled_gen: int | None = None
    settled_xid: int | None = None
    committed_at: int | None = None
    effects: int | None = None
    request: str | None = None


@dataclass(frozen=True)
class Violation:
    """A broken rule, the job that shows it, and how."""

    rule: Rule
    job: str
    detail: str


@dataclass
class _Job:
    """What the history says of one job."""

    returned: bool = False
    undone: bool = False
    runs: list[Run] = field(default_factory=list)
    sent: list[SettleSent] = field(default_factory=list)
    accepted: list[Settled] = field(default_factory=list)
    refused: list[Settled] = field(default_factory=list)

    @property
    def ended(self) -> list[Settled]:
        return [settled for settled in self.accepted if settled.outcome.terminal]


def check(history: Sequence[AnyEvent], ledger: Iterable[LedgerJob]) -> list[Violation]:
    """Return every violation, those of one job together; the history is in time order."""
    rows: dict[str, list[LedgerJob]] = defaultdict(list)
    for row in ledger:
        rows[row.job].append(row)
    jobs = _by_job(history)
    losses = [event for event in history if isinstance(event, LeaseLost)]
    found = [
        Violation(rule, job, detail)
        for job in sorted(rows.keys() | jobs.keys())
        for rule, detail in _check_job(jobs.get(job, _Job()), rows.get(job, []), losses)
    ]
    return found + list(_requests(chain.from_iterable(rows.values())))


def _requests(rows: Iterable[LedgerJob]) -> Iterator[Violation]:
    first: dict[str, str] = {}
    for row in rows:
        if row.request is not None and first.setdefault(row.request, row.job) != row.job:
            also = f"{first[row.request]} is request {row.request} too"
            yield Violation(Rule.STORED_TWICE, row.job, also)


Finding = tuple[Rule, str]


def _by_job(history: Sequence[AnyEvent]) -> Mapping[str, _Job]:
    jobs: dict[str, _Job] = defaultdict(_Job)
    for event in history:
        match event:
            case EnqueueReturned():
                jobs[event.job].returned = True
            case EnqueueUndone():
                jobs[event.job].undone = True
            case SettleSent():
                jobs[event.job].sent.append(event)
            case Settled(accepted=True):
                jobs[event.job].accepted.append(event)
            case Settled():
                jobs[event.job].refused.append(event)
            case _:
                pass
    for job, runs in runs_by_job(history).items():
        jobs[job].runs = runs
    return jobs


def _check_job(
    told: _Job, rows: Sequence[LedgerJob], losses: Sequence[LeaseLost]
) -> Iterator[Finding]:
    yield from _existence(told, rows)
    yield from _settles(told)
    yield from _starts_after_settle(told)
    yield from _overlaps(told, losses)
    for row in rows:
        yield from _row(told, row)
        yield from _starts_after_commit(told, row)
        yield from _too_many_starts(told, row, losses)


def _existence(told: _Job, rows: Sequence[LedgerJob]) -> Iterator[Finding]:
    if told.returned and not rows:
        yield Rule.LOST, "enqueue returned"
    if told.runs and not rows:
        yield Rule.PHANTOM, f"{len(told.runs)} runs"
    if len(rows) > 1:
        yield Rule.STORED_TWICE, f"{len(rows)} rows"
    if told.undone and rows:
        yield Rule.UNDONE, f"state {rows[0].state}"


def _settles(told: _Job) -> Iterator[Finding]:
    # The same worker's same outcome accepted again is one settle whose first reply was lost.
    by_gen = defaultdict(set)
    for settled in told.accepted:
        by_gen[settled.gen].add((settled.worker, settled.outcome))
    for gen, settles in by_gen.items():
        if len(settles) > 1:
            yield Rule.TOKEN_SETTLED_TWICE, f"gen {gen} by {_listed(settles)}"
    ends = {(settled.gen, settled.worker, settled.outcome) for settled in told.ended}
    if len(ends) > 1:
        yield Rule.COMPLETED_TWICE, f"by {_listed(ends)}"
    yield from _stale_settles(told)


def _stale_settles(told: _Job) -> Iterator[Finding]:
    # What was sent again after a lost reply may have been in since its first sending.
    first_sent: dict[tuple[int, str], int] = {}
    for sent in told.sent:
        first_sent.setdefault((sent.gen, sent.worker), sent.at)
    for settled in told.accepted:
        asked = first_sent.get((settled.gen, settled.worker), settled.at)
        later = [run for run in told.runs if run.start.gen > settled.gen and run.start.at < asked]
        if later:
            accepted = f"{settled.outcome} of gen {settled.gen} by {settled.worker}"
            yield Rule.STALE_ACCEPTED, f"{accepted}, though {_named(later[0].start)} had started"


def _starts_after_settle(told: _Job) -> Iterator[Finding]:
    for run in told.runs:
        for settled in told.accepted:
            fenced = settled.outcome.terminal or run.start.gen <= settled.gen
            if fenced and settled.at < run.start.asked_at:
                late = (run.start.asked_at - settled.at) / 1e6
                told_at = f"{late:.3f} ms after the {settled.outcome} of gen {settled.gen} was in"
                yield Rule.STARTED_AFTER_SETTLE, f"{_named(run.start)} asked {told_at}"
                break


def _starts_after_commit(told: _Job, row: LedgerJob) -> Iterator[Finding]:
    if row.state not in TERMINAL_STATES:
        return
    for run in told.runs:
        oldest_open = run.start.ledger_xmin
        if oldest_open is not None and (row.settled_xid or NEVER) < oldest_open:
            order = f"transaction {row.settled_xid} settled it, {oldest_open} was the oldest open"
            yield Rule.STARTED_AFTER_SETTLE, f"{_named(run.start)} asked when {order}"
        if row.committed_at is not None and row.committed_at + CLOCKS_APART < run.start.asked_at:
            late = (run.start.asked_at - row.committed_at) / 1e6
            commit = f"{late:.3f} ms after the transaction that settled it had committed"
            yield Rule.STARTED_AFTER_SETTLE, f"{_named(run.start)} asked {commit}"


def _overlaps(told: _Job, losses: Sequence[LeaseLost]) -> Iterator[Finding]:
    for index, first in enumerate(told.runs):
        for second in told.runs[index + 1 :]:
            same_token = first.start.gen == second.start.gen
            if (
                same_token
                and first.overlaps(second)
                and not data_lost_between(losses, first, second)
            ):
                yield Rule.OVERLAP, f"{_named(first.start)} and {_named(second.start)}"


def _row(told: _Job, row: LedgerJob) -> Iterator[Finding]:
    if row.state not in TERMINAL_STATES:
        yield Rule.UNFINISHED, f"state {row.state}"
    for settled in told.ended:
        if STATE_AFTER[settled.outcome] != row.state:
            accepted = f"{settled.outcome} of gen {settled.gen} by {settled.worker} was accepted"
            yield Rule.SETTLE_UNDONE, f"{accepted}, the state is {row.state}"
    if row.state == "completed" and not any(_explains(sent, row) for sent in told.sent):
        yield Rule.COMPLETED_BY_NOBODY, f"settled gen {row.settled_gen}"
    if row.effects is not None and row.effects != (row.state == "completed"):
        yield Rule.EFFECTS, f"{row.effects} effects, state {row.state}"


def _explains(sent: SettleSent, row: LedgerJob) -> bool:
    return sent.outcome is Outcome.COMPLETE and row.settled_gen in {None, sent.gen}


def _too_many_starts(told: _Job, row: LedgerJob, losses: Sequence[LeaseLost]) -> Iterator[Finding]:
    limit = row.max_attempts + most_crashes(row.max_attempts) - 1
    snoozed = _snoozed_gens(told)
    counted = len(told.runs) - sum(_excused(told.runs, row, losses, snoozed)) - len(snoozed)
    if counted > limit:
        yield Rule.TOO_MANY_STARTS, f"{counted} starts, max_attempts {row.max_attempts}"
    for run in told.runs:
        if run.start.attempt > limit:
            yield (
                Rule.TOO_MANY_STARTS,
                f"{_named(run.start)} is attempt {run.start.attempt} of {row.max_attempts}",
            )
    ended = {one.gen for one in told.accepted if one.outcome is not Outcome.SNOOZE}
    if len(ended) > row.max_attempts:
        yield Rule.TOO_MANY_STARTS, f"{len(ended)} outcomes, max_attempts {row.max_attempts}"


def most_crashes(max_attempts: int) -> int:
    """How many deaths of its workers end a job."""
    return 1 if max_attempts == 1 else max(3, max_attempts)


def _snoozed_gens(told: _Job) -> set[int]:
    # One whose reply was lost may be in: it counts as in unless the ledger refused it.
    sent = {(sent.gen, sent.worker) for sent in told.sent if sent.outcome is Outcome.SNOOZE}
    refused = {(refused.gen, refused.worker) for refused in told.refused}
    return {gen for gen, _ in sent - refused}


def _excused(
    runs: Sequence[Run], row: LedgerJob, losses: Sequence[LeaseLost], snoozed: Container[int]
) -> Iterator[bool]:
    # A lane that loses its data, or is voted out, loses the mark that a job has started: it starts
    # again as the same attempt, be it under the same generation, or under a later one because who
    # held it next never started it or because the ledger gives it out. The last attempt is claimed
    # in the ledger and has no excuse.
    latest: dict[int, Run] = {}
    for number, run in enumerate(runs):
        start, earlier = run.start, reversed(runs[:number])
        as_many = next((one for one in earlier if start.attempt <= one.start.attempt), None)
        same = latest.get(start.gen)
        latest[start.gen] = run
        yield row.max_attempts > 1 and (
            (same is not None and data_lost_between(losses, same, run))
            or (
                as_many is not None
                and as_many.start.gen not in snoozed
                and data_lost_between(losses, as_many, run)
            )
        )


def _named(start: StartChecked) -> str:
    return f"the run of gen {start.gen} by {start.worker}"


def _listed(settles: Iterable[tuple[object, ...]]) -> str:
    return ", ".join(sorted(" ".join(map(str, settle)) for settle in settles))


def broken_rules(violations: Iterable[Violation]) -> Counter[Rule]:
    """Count the violations of each rule."""
    return Counter(violation.rule for violation in violations)
