"""What a history tells of one job, line by line: how a violation came about."""

from collections.abc import Iterator, Sequence
from itertools import groupby, islice

import msgspec

from chaos.checker import Violation
from chaos.events import AnyEvent, CrashPointReached, FaultInjected, LeaseLost, ProcessEnded
from chaos.runs import runs_by_job

MOST_JOBS = 3
MOST_LINES = 60


def stories(history: Sequence[AnyEvent], violations: Sequence[Violation]) -> list[str]:
    """Return the stories of the first jobs that broke a rule."""
    jobs = list(dict.fromkeys(violation.job for violation in violations))
    return ["\n".join(_story(history, job)) for job in jobs[:MOST_JOBS]]


def _story(history: Sequence[AnyEvent], job: str) -> Iterator[str]:
    pids = {run.start.pid for run in runs_by_job(history).get(job, ())}
    own = [event.at for event in history if getattr(event, "job", None) == job]
    if not own:
        return
    yield f"{job}, seconds since its first line:"
    told = [event for event in history if own[0] <= event.at and _concerns(event, job, pids)]
    for what, several in islice(groupby(told, key=_what), MOST_LINES):
        times = [event.at for event in several]
        until = f" until {(times[-1] - own[0]) / 1e9:.3f}" if times[1:] else ""
        yield f"  {(times[0] - own[0]) / 1e9:8.3f}{until}  {what}"


def _concerns(event: AnyEvent, job: str, pids: set[int]) -> bool:
    match event:
        case LeaseLost(job=of):
            return of in {None, job}
        case FaultInjected(victim=victim):
            return victim is None or victim in pids
        case ProcessEnded(child=child):
            return child in pids
        case CrashPointReached(pid=pid):
            return pid in pids
        case _:
            return getattr(event, "job", None) == job


def _what(event: AnyEvent) -> str:
    fields = msgspec.to_builtins(event)
    kind = fields.pop("event")
    left_out = {"at", "job", "asked_at", "ledger_xmin"}
    return f"{kind} " + " ".join(f"{k}={v}" for k, v in fields.items() if k not in left_out)
