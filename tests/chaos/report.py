"""What a chaos run did and what it found, as counts and as a page of text."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from chaos.checker import LedgerJob, Rule, Violation, broken_rules
from chaos.events import (
    AnyEvent,
    CrashPointReached,
    EnqueueReturned,
    FaultInjected,
    LeaseLost,
    ProcessStarted,
    Settled,
)
from chaos.runs import Run, runs_by_job

SHOWN_PER_RULE = 10


@dataclass(frozen=True)
class Summary:
    """Counts of a run; recoveries are seconds from a kill to the next start of a job it hit."""

    enqueued: int
    states: Counter[str]
    runs: int
    reruns: int
    killed_runs: int
    zombie_overlaps: int
    refused_settles: int
    leases_lost: Counter[str]
    faults: Counter[str]
    crash_points: Counter[str]
    processes: Counter[str]
    recoveries: Sequence[float]


def summarise(history: Sequence[AnyEvent], ledger: Iterable[LedgerJob]) -> Summary:
    """Count what happened; the history is in time order."""
    runs = runs_by_job(history)
    settles = [event for event in history if isinstance(event, Settled)]
    crashed = Counter(event.name for event in history if isinstance(event, CrashPointReached))
    return Summary(
        enqueued=sum(isinstance(event, EnqueueReturned) for event in history),
        states=Counter(row.state for row in ledger),
        runs=sum(map(len, runs.values())),
        reruns=sum(len(of_job) - 1 for of_job in runs.values()),
        killed_runs=sum(run.killed for of_job in runs.values() for run in of_job),
        zombie_overlaps=sum(map(_zombie_overlaps, runs.values())),
        refused_settles=sum(not settled.accepted for settled in settles),
        leases_lost=Counter(event.cause for event in history if isinstance(event, LeaseLost)),
        faults=Counter(event.kind for event in history if isinstance(event, FaultInjected)),
        crash_points=crashed,
        processes=Counter(event.role for event in history if isinstance(event, ProcessStarted)),
        recoveries=sorted(seconds for of_job in runs.values() for seconds in _recoveries(of_job)),
    )


def render(summary: Summary, violations: Sequence[Violation]) -> str:
    """Return the page: verdict first, then violations by rule, then the counts."""
    broken = broken_rules(violations)
    verdict = f"{len(violations)} violations" if violations else "clean"
    lines = [f"{verdict}: {summary.enqueued} jobs enqueued, {summary.runs} runs"]
    for rule in Rule:
        if broken[rule]:
            lines += ["", f"{broken[rule]} x {rule}", *_examples(rule, violations)]
    lines += ["", *_counts(summary)]
    return "\n".join(lines)


def _zombie_overlaps(runs: Sequence[Run]) -> int:
    return sum(
        first.overlaps(second)
        for index, first in enumerate(runs)
        for second in runs[index + 1 :]
        if first.start.gen != second.start.gen
    )


def _recoveries(runs: Sequence[Run]) -> list[float]:
    return [
        (min(later) - run.ended_at) / 1e9
        for run in runs
        if run.killed
        and (later := [next_.start.at for next_ in runs if next_.start.at > run.ended_at])
    ]


def _examples(rule: Rule, violations: Iterable[Violation]) -> list[str]:
    found = [violation for violation in violations if violation.rule is rule]
    lines = [f"  {violation.job}: {violation.detail}" for violation in found[:SHOWN_PER_RULE]]
    if len(found) > SHOWN_PER_RULE:
        lines.append(f"  and {len(found) - SHOWN_PER_RULE} more")
    return lines


def _counts(summary: Summary) -> list[str]:
    lines = [
        _line("states", summary.states),
        _line("processes", summary.processes),
        _line("faults", summary.faults),
        _line("crash points", summary.crash_points),
        _line("leases lost", summary.leases_lost),
        f"reruns: {summary.reruns}, killed runs: {summary.killed_runs}",
        f"zombie overlaps: {summary.zombie_overlaps}, refused settles: {summary.refused_settles}",
    ]
    if summary.recoveries:
        lines.append(
            f"recovery of {len(summary.recoveries)} killed runs:"
            f" median {median(summary.recoveries):.3f} s, worst {summary.recoveries[-1]:.3f} s"
        )
    return lines


def _line(name: str, counts: Counter[str]) -> str:
    listed = ", ".join(f"{key} {count}" for key, count in sorted(counts.items()))
    return f"{name}: {listed or 'none'}"
