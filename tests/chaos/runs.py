"""The runs of handlers that a history tells of, each with the time by which it was over."""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chaos.events import (
    KILL,
    AnyEvent,
    CrashPointReached,
    FaultInjected,
    LeaseLost,
    ProcessEnded,
    RunEnded,
    StartChecked,
)

NEVER = 2**63


@dataclass(frozen=True)
class Run:
    """One run: from its start line to its end line, the death of its process, or NEVER (ns)."""

    start: StartChecked
    ended_at: int
    killed: bool

    def overlaps(self, later: "Run") -> bool:
        """Whether the later run began before this one was over."""
        return later.start.at < self.ended_at


def deaths(history: Iterable[AnyEvent]) -> Mapping[int, Sequence[int]]:
    """Return for each process id the times (ns) by which a process of that id was doomed."""
    times: dict[int, list[int]] = defaultdict(list)
    for event in history:
        match event:
            case FaultInjected(kind=kind, victim=int(victim)) if kind == KILL:
                times[victim].append(event.at)
            case CrashPointReached():
                times[event.pid].append(event.at)
            case ProcessEnded():
                times[event.child].append(event.at)
            case _:
                pass
    return {pid: sorted(found) for pid, found in times.items()}


def runs_by_job(history: Sequence[AnyEvent]) -> Mapping[str, list[Run]]:
    """Return the runs of each job in the order of their starts; the history is in time order."""
    died = deaths(history)
    ends: dict[tuple[str, int, str], deque[int]] = defaultdict(deque)
    for event in history:
        if isinstance(event, RunEnded):
            ends[event.job, event.gen, event.worker].append(event.at)
    runs: dict[str, list[Run]] = defaultdict(list)
    for event in history:
        if isinstance(event, StartChecked):
            runs[event.job].append(_run(event, ends[event.job, event.gen, event.worker], died))
    return runs


def data_lost_between(losses: Iterable[LeaseLost], first: Run, second: Run) -> bool:
    """Whether the lane lost its data after the first run's start and before the second's.

    That alone gives one token to a second run (protocol R1): who takes a job from one worker
    raises its generation.
    """
    return any(
        first.start.at <= loss.at <= second.start.at and loss.job is None and loss.worker is None
        for loss in losses
    )


def _run(start: StartChecked, ends: deque[int], died: Mapping[int, Sequence[int]]) -> Run:
    times = died.get(start.pid, ())
    after = bisect_left(times, start.at)
    death = times[after] if after < len(times) else NEVER
    while ends and ends[0] < start.at:
        ends.popleft()
    if ends:
        return Run(start, ends.popleft(), killed=False)
    return Run(start, death, killed=death != NEVER)
