"""Draws histories of jobs treated as the protocol says, whatever befell their workers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import msgspec
from hypothesis import strategies as st

from chaos.checker import STATE_AFTER, LedgerJob, most_crashes
from chaos.events import (
    KILL,
    AnyEvent,
    EnqueueCalled,
    EnqueueReturned,
    FaultInjected,
    LeaseLost,
    Outcome,
    RunEnded,
    Settled,
    SettleSent,
    StartChecked,
)

TICK = 10
DRAWN = 12
FATES = (
    "settled",
    "reply lost",
    "asked twice",
    "killed",
    "stopped",
    "stopped before start",
    "flush",
)


@dataclass(frozen=True)
class Ask:
    """The fence check of a run begins; its start line is written some time later."""

    run: int


Step = Ask | AnyEvent


@dataclass
class Life:
    """One job being lived: a main strand of steps, and those of zombies that each fork from it."""

    job: str
    max_attempts: int
    fates: Iterator[str]
    outcomes: Iterator[Outcome]
    runs: Iterator[int]
    main: list[Step] = field(default_factory=list)
    zombies: list[tuple[int, list[Step]]] = field(default_factory=list)
    gen: int = 1
    failures: int = 0
    crashes: int = 0
    end: Outcome | None = None

    def live(self) -> LedgerJob:
        """Run attempts until one ends the job; returns its row."""
        self.main += [EnqueueCalled(job=self.job), EnqueueReturned(job=self.job)]
        while self.end is None:
            self._attempt(next(self.fates), next(self.outcomes))
        state = STATE_AFTER[self.end]
        return LedgerJob(
            job=self.job,
            state=state,
            max_attempts=self.max_attempts,
            settled_gen=self.gen,
            effects=int(state == "completed"),
        )

    def _attempt(self, fate: str, outcome: Outcome) -> None:
        run = next(self.runs)
        worker = f"w{run}"
        last = self.crashes + 1 == most_crashes(self.max_attempts)
        if outcome is Outcome.RETRY and self.failures + 1 == self.max_attempts:
            outcome = Outcome.DEAD
        ask = Ask(run)
        start = StartChecked(
            pid=run,
            job=self.job,
            gen=self.gen,
            worker=worker,
            attempt=self.failures + self.crashes + 1,
            asked_at=run,
        )
        ended = RunEnded(pid=run, job=self.job, gen=self.gen, worker=worker)
        sent = SettleSent(job=self.job, gen=self.gen, worker=worker, outcome=outcome)
        told = Settled(job=self.job, gen=self.gen, worker=worker, outcome=outcome, accepted=True)
        refused = msgspec.structs.replace(told, accepted=False)
        reaped = LeaseLost(cause="reaped", job=self.job, worker=worker)
        match fate:
            case "settled":
                self.main += [ask, start, ended, sent, told]
                self._settle(outcome)
            case "reply lost":
                self.main += [ask, start, ended, sent, FaultInjected(kind=KILL, victim=run)]
                self._settle(outcome)
            case "asked twice":
                self.main += [ask, start, ended, sent, sent, told]
                self._settle(outcome)
            case "killed":
                self.main += [ask, start, FaultInjected(kind=KILL, victim=run), reaped]
                self._crash(last=last)
            case "stopped":
                self.main += [ask, start, reaped]
                self.zombies.append((len(self.main), [ended, sent, refused]))
                self._crash(last=last)
            case "stopped before start":
                self.main += [ask, reaped]
                self.zombies.append((len(self.main), [start, ended, sent, refused]))
                self._crash(last=last)
            case _:
                self._flush(ask, start, [ended, sent, refused], last=last)

    def _flush(self, ask: Ask, start: StartChecked, rest: list[Step], *, last: bool) -> None:
        if last:  # is claimed in the ledger, which forgets nothing
            return
        self.main += [ask, start, LeaseLost(cause="flush")]
        self.zombies.append((len(self.main), rest))

    def _settle(self, outcome: Outcome) -> None:
        if outcome.terminal:
            self.end = outcome
        else:
            self.gen += 1
            self.failures += outcome is Outcome.RETRY

    def _crash(self, *, last: bool) -> None:
        self.gen += 1
        self.crashes += 1
        if last:
            self.end = Outcome.DEAD


@st.composite
def correct_runs(
    draw: st.DrawFn, *, completing: bool = False
) -> tuple[list[AnyEvent], list[LedgerJob]]:
    """Draw the history of some jobs and the ledger they left; `completing`: of one at least."""
    runs = count(1)
    lives: list[Life] = []
    ledger: list[LedgerJob] = []
    for number in range(draw(st.integers(1, 3))):
        fates = draw(st.lists(st.sampled_from(FATES), min_size=DRAWN, max_size=DRAWN))
        outcomes = draw(st.lists(st.sampled_from(Outcome), min_size=DRAWN, max_size=DRAWN))
        life = Life(
            job=f"job-{number}",
            max_attempts=draw(st.integers(1, 4)),
            fates=iter([*fates, *["settled"] * DRAWN]),
            outcomes=iter([*outcomes, *[Outcome.COMPLETE] * DRAWN]),
            runs=runs,
        )
        ledger.append(life.live())
        lives.append(life)
    if completing:
        sure = Life("job-sure", 1, iter(["settled"]), iter([Outcome.COMPLETE]), runs)
        ledger.append(sure.live())
        lives.append(sure)
    return _woven(draw, lives), ledger


def _woven(draw: st.DrawFn, lives: list[Life]) -> list[AnyEvent]:
    random = draw(st.randoms(use_true_random=False))
    strands = [_Strand(life.main, life.main, 0) for life in lives]
    strands += [_Strand(steps, life.main, at) for life in lives for at, steps in life.zombies]
    done: dict[int, int] = {id(life.main): 0 for life in lives}
    asked: dict[int, int] = {}
    woven: list[AnyEvent] = []
    now = 0
    while ready := [one for one in strands if one.left and done[id(one.main)] >= one.after]:
        strand = random.choice(ready)
        step = strand.take()
        done[id(strand.main)] += strand.steps is strand.main
        now += TICK
        match step:
            case Ask():
                asked[step.run] = now
            case StartChecked():
                woven.append(msgspec.structs.replace(step, at=now, asked_at=asked[step.pid]))
            case _:
                woven.append(msgspec.structs.replace(step, at=now))
    return woven


@dataclass(eq=False)
class _Strand:
    steps: list[Step]
    main: list[Step]
    after: int
    taken: int = 0

    @property
    def left(self) -> bool:
        return self.taken < len(self.steps)

    def take(self) -> Step:
        self.taken += 1
        return self.steps[self.taken - 1]
