"""A queue whose jobs are all claimed in the ledger before they start, and how it becomes so."""

from collections.abc import Iterator

from model import properties
from model.explorer import Step
from model.lane_state import KEPT, RUNNING, SAID, Setting, State, Worker, with_worker
from model.ledger import CANCELLED, COMPLETE, RETRY
from model.values import Value


class Promise(Value, frozen=True):
    """The ledger is told that the queue is strict; workers hear of it by their beats.

    From when all who live have heard of it, or are silent by their own clocks, it is kept.
    """

    model: Setting
    state: State

    def steps(self) -> Iterator[Step[State]]:
        """Return what operator, workers and time can do about the promise."""
        state = self.state
        if state.budget.promises:
            yield self._say()
        if state.promise != SAID:
            return
        for number, worker in enumerate(state.workers):
            if worker.unaware and not worker.silent and worker.id not in state.judged:
                yield Step("beat", f"p{number}", _told(state, number), "strict")
        yield from self._keep()

    def _say(self) -> Step[State]:
        workers = tuple(worker._replace(unaware=True) for worker in self.state.workers)
        said = KEPT if self.model.twin.promise_kept_at_once else SAID
        strict = self.state._replace(promise=said, workers=workers)
        return Step("promise", "operator", strict.spend("promises"))

    def _keep(self) -> Iterator[Step[State]]:
        """A lease is over: whoever did not beat in it is silent, and hears of it when it does."""
        kept = self.state._replace(promise=KEPT)
        deaf = [n for n, one in enumerate(kept.workers) if _may_start(one, kept)]
        if not deaf:
            yield Step("keep", "clock", _all_told(kept))
        elif kept.budget.expiries:
            for number in deaf:
                silent = kept.workers[number]._replace(silent=True)
                kept = with_worker(kept, number, silent)
            yield Step("keep", "clock", _all_told(kept).spend("expiries"), "cut off", fault=True)


def broken_by_start(model: Setting, step: Step[State]) -> Iterator[str]:
    """Return the properties of strict queues that a start breaks."""
    state, number = step.state, int(step.actor.removeprefix("p"))
    me, row = state.workers[number], state.row
    assert me.hand is not None
    if state.budget.restores < model.budget.restores or row.state == CANCELLED:
        return
    if state.promise == KEPT and (row.owner, row.gen) != (me.id, me.hand.gen):
        yield properties.CLAIMED
    for other in state.workers:
        hand = other.hand
        if hand is None or other.id in (me.id, *state.judged) or other.calls < hand.call:
            continue  # the last: it goes on under a new identity, since the old one was judged
        if hand.gen == hand.entry_gen and not model.strict:
            continue  # it may have started before the promise was kept
        unsettled = hand.phase in (COMPLETE, RETRY) and hand.gen != row.settled_gen
        if hand.phase == RUNNING or unsettled:
            yield properties.OVERTAKEN


def _may_start(worker: Worker, state: State) -> bool:
    return worker.unaware and not worker.silent and worker.id not in state.judged


def _told(state: State, number: int) -> State:
    return with_worker(state, number, state.workers[number]._replace(unaware=False))


def _all_told(state: State) -> State:
    for number in range(len(state.workers)):
        state = _told(state, number)
    return state
