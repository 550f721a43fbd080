"""The states of direct mode, the faults it suffers, the rules it keeps."""

from dataclasses import dataclass
from typing import NamedTuple

from model.ledger import COMPLETE, DEAD, NOBODY, LedgerRules, Row

HELD, RUNNING = "held", "running"


class Delivery(NamedTuple):
    """A job in a process's hands: held, running, or finished with an outcome still to settle."""

    worker: int
    gen: int
    phase: str = HELD
    accepted: bool = False  # ghost: its settle has committed and the reply was lost


class Worker(NamedTuple):
    """A worker process. Its identity is NOBODY while it is down or was refused by a beat."""

    id: int
    calls: int = 0  # number of its last claim call
    reply: Delivery | None = None  # what a claim gave whose reply is under way
    hands: tuple[Delivery, ...] = ()

    def with_hand(self, delivery: Delivery, new: Delivery | None) -> "Worker":
        """Replace a delivery in hand, or drop it."""
        index = self.hands.index(delivery)
        kept = () if new is None else (new,)
        return self._replace(hands=self.hands[:index] + kept + self.hands[index + 1 :])


class Statement(NamedTuple):
    """A statement whose sender lost its connection: it commits later, or never."""

    action: str
    worker: int = NOBODY
    gen: int = 0
    call: int = 0  # claim: its number; beat: the last call whose reply was received
    outcome: str = ""


class Budget(NamedTuple):
    """How often each fault, and each thing that may go on for ever, may still happen."""

    crashes: int = 1
    expiries: int = 1  # live workers judged dead
    losses: int = 1  # statements whose sender loses the connection
    drains: int = 1
    snoozes: int = 1


class State(NamedTuple):
    """The ledger, the processes, and what is under way between them."""

    row: Row
    workers: tuple[Worker, ...]
    budget: Budget
    inserted: bool = False  # the producer was told that its job is committed
    registered: int = 0  # identities given so far; none is given twice
    reaped: frozenset[int] = frozenset()  # identities judged dead
    wire: tuple[Statement, ...] = ()

    def spend(self, fault: str) -> "State":
        """Take one from the budget of a fault."""
        left = getattr(self.budget, fault) - 1
        return self._replace(budget=self.budget._replace(**{fault: left}))


def tidied(state: State, *, blame: bool) -> State:
    """Forget what no future step can ask for, so that more histories end in the same state."""
    row, busy = state.row, {state.row.owner}
    hands = [delivery for worker in state.workers for delivery in worker.hands]
    if row.settled_gen and not any(delivery.accepted for delivery in hands):
        row = row._replace(settled_gen=0, settled_by=NOBODY)
    if row.owner == NOBODY and row.call:
        row = row._replace(call=0)
    if not blame:
        row = row._replace(blamed=0, started=False)
    if row.state in (COMPLETE, DEAD):
        row = row._replace(failures=0, crashes=0, call=0)
    busy.update(statement.worker for statement in state.wire)
    busy.update(worker.reply.worker for worker in state.workers if worker.reply)
    workers = tuple(
        worker if worker.id in busy or not worker.calls else worker._replace(calls=0)
        for worker in state.workers
    )
    busy.update(worker.id for worker in state.workers)
    busy.update(delivery.worker for delivery in hands)
    return state._replace(row=row, workers=workers, reaped=state.reaped & busy)


@dataclass(frozen=True, slots=True)
class Rules(LedgerRules):
    """What processes and reaper must do; with one switched off direct mode is a broken twin."""

    start_tests_fence: bool = True
    fence_is_the_deliverys: bool = True
    refusal_voids: bool = True
    beat_releases: bool = True
    beat_spares_unreceived: bool = True
    beat_names_unsettled: bool = True
    reaper_runs: bool = True
    reap_repeats: bool = True
    silence_is_judged: bool = True
    release_drops_first: bool = True
    release_spares_started: bool = True
    effects_join_the_settle: bool = True
