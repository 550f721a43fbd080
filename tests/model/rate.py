"""The limiter: workers that ask for a start at the same time, and a window that must hold.

Names of actions are those of functions/rate_limits.sql. A start is what a worker does once its
transaction is committed; the window is judged by the true time of starts.
"""

from collections.abc import Iterable
from enum import StrEnum

from model.explorer import Step
from model.values import Value

HOLDS = "no window has more starts than the limit"
SPAN = 2


class RateTwin(StrEnum):
    """A rule that is left out."""

    CLOCK_BEFORE_LOCK = "clock_before_lock"
    NO_LOCK = "no_lock"


class Asker(Value, frozen=True, gc=False, cache_hash=True):
    """A worker that asks: what it has read so far."""

    phase: str = "idle"
    read_at: int = -1
    seen: tuple[int, ...] = ()


class State(Value, frozen=True, gc=False, cache_hash=True):
    """The true time, the log of marks, the true starts, who has the lock."""

    now: int = 0
    log: tuple[int, ...] = ()
    starts: tuple[int, ...] = ()
    holder: int = -1
    askers: tuple[Asker, ...] = (Asker(), Asker(), Asker())


class RateModel:
    """One window of two ticks, three askers, and time that goes on whenever it likes."""

    def __init__(self, twin: RateTwin | None = None, most: int = 1, until: int = 6) -> None:
        self._twin = twin
        self._most = most
        self._until = until

    def initial(self) -> State:
        """Nobody has asked."""
        return State()

    def finished(self, state: State) -> bool:
        """Everybody has an answer."""
        return all(one.phase == "done" for one in state.askers)

    def steps(self, state: State) -> Iterable[Step[State]]:
        """What may happen next."""
        if state.now < self._until:
            yield Step("pass_time", "clock", state._replace(now=state.now + 1))
        for who, asker in enumerate(state.askers):
            yield from self._of(state, who, asker)

    def _of(self, state: State, who: int, asker: Asker) -> Iterable[Step[State]]:
        early = self._twin is RateTwin.CLOCK_BEFORE_LOCK
        free = state.holder < 0 or self._twin is RateTwin.NO_LOCK
        if asker.phase == "idle" and early:
            yield self._step("clock", state, who, asker._replace(phase="waits", read_at=state.now))
        elif asker.phase in ("idle", "waits") and free:
            locked = asker._replace(phase="locked", seen=state.log)
            yield self._step("rate_lock", state._replace(holder=who), who, locked)
        elif asker.phase == "locked":
            read_at = asker.read_at if early else state.now
            start = max((read_at, *asker.seen))
            used = sum(1 for mark in asker.seen if mark > start - SPAN)
            log = state.log
            if used < self._most:
                log = (*state.log, start)
            holder = -1 if state.holder == who else state.holder
            after = state._replace(log=log, holder=holder)
            if log != state.log:
                after = after._replace(starts=(*state.starts, state.now))
            yield self._step("admit", after, who, Asker("done"))

    def _step(self, action: str, state: State, who: int, asker: Asker) -> Step[State]:
        askers = (*state.askers[:who], asker, *state.askers[who + 1 :])
        return Step(action, f"worker{who}", state._replace(askers=askers))

    def broken(self, before: State, step: Step[State]) -> Iterable[str]:
        """The window, judged by the true time."""
        starts = step.state.starts
        if starts != before.starts:
            inside = sum(1 for one in starts if one > step.state.now - SPAN)
            if inside > self._most:
                yield HOLDS
