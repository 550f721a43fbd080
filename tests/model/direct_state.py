"""The states of direct mode, the faults it suffers, and its broken twins."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from model.explorer import Step
from model.ledger import COMPLETE, DEAD, NOBODY, RETRY, SNOOZE, Ledger, LedgerTwin, Row
from model.values import Value

AHEAD, HELD, RUNNING = "ahead", "held", "running"
UNSTARTED = (AHEAD, HELD)


class Delivery(Value, frozen=True):
    """A job in a process's hands: ahead, held, running, or finished with an outcome to settle."""

    worker: int
    gen: int
    phase: str = HELD
    accepted: bool = False  # ghost: its settle has committed and the reply was lost

    @property
    def token(self) -> tuple[int, int]:
        """Who has it, by which generation."""
        return self.worker, self.gen


class Worker(Value, frozen=True):
    """A worker process. Its identity is NOBODY while it is down or was refused by a beat."""

    id: int
    calls: int = 0  # number of its last claim call
    reply: Delivery | None = None  # what a claim gave whose reply is under way
    forgone: bool = False  # that reply is wanted no more
    hands: tuple[Delivery, ...] = ()

    def with_hand(self, delivery: Delivery, new: Delivery | None) -> "Worker":
        """Replace a delivery in hand, or drop it."""
        index = self.hands.index(delivery)
        kept = () if new is None else (new,)
        return self._replace(hands=self.hands[:index] + kept + self.hands[index + 1 :])


class Statement(Value, frozen=True):
    """A statement whose sender lost its connection: it commits later, or never."""

    action: str
    worker: int = NOBODY
    gen: int = 0
    call: int = 0  # claim: its number; beat: the last call whose reply was received
    outcome: str = ""  # settle: of the run; claim: AHEAD of free slots, or not
    named: tuple[int, ...] = ()  # beat: what was in hand


class Budget(Value, frozen=True):
    """How often each fault, and each thing that may go on for ever, may still happen."""

    crashes: float = 1
    expiries: float = 1  # live workers judged dead
    losses: float = 1  # statements whose sender loses the connection
    drains: float = 1  # releases by a worker that stops, and its leaving
    snoozes: float = 1
    overruns: float = 0  # handlers that block their worker for longer than they may run
    aheads: float = 0  # claims ahead of free slots


class State(Value, frozen=True):
    """The ledger, the processes, and what is under way between them."""

    row: Row
    workers: tuple[Worker, ...]
    budget: Budget
    inserted: bool = False  # the producer was told that its job is committed
    registered: int = 0  # identities given so far; none is given twice
    reaped: frozenset[int] = frozenset()  # identities judged dead, or gone
    left: frozenset[int] = frozenset()  # those that went by themselves
    unended: frozenset[tuple[int, int]] = frozenset()  # what those said they were still running
    wire: tuple[Statement, ...] = ()

    def spend(self, fault: str) -> "State":
        """Take one from the budget of a fault."""
        left = getattr(self.budget, fault) - 1
        return self._replace(budget=self.budget._replace(**{fault: left}))

    def leave(self, worker: int, running: Iterable[int]) -> "State":
        """Void an identity by its own wish, unless it was judged before."""
        if worker in self.reaped:
            return self
        unended = self.unended | {(worker, gen) for gen in running}
        reaped, left = self.reaped | {worker}, self.left | {worker}
        return self._replace(reaped=reaped, left=left, unended=unended)


def tidied(state: State, *, blame: bool) -> State:
    """Forget what no future step can ask for, so that more histories end in the same state."""
    hands = [delivery for worker in state.workers for delivery in worker.hands]
    accepted = any(delivery.accepted for delivery in hands)
    workers = state.workers
    busy = {state.row.owner}
    busy.update([statement.worker for statement in state.wire])
    busy.update([worker.reply.worker for worker in workers if worker.reply])
    if any(worker.calls and worker.id not in busy for worker in workers):
        workers = tuple([w if w.id in busy else w._replace(calls=0) for w in workers])
    busy.update([worker.id for worker in workers])
    busy.update([delivery.worker for delivery in hands])
    return state._replace(
        row=_tidied_row(state.row, accepted=accepted, blame=blame),
        workers=workers,
        reaped=state.reaped & busy,
        left=state.left & busy,
        unended=state.unended and frozenset([token for token in state.unended if token[0] in busy]),
    )


@cache
def _tidied_row(row: Row, *, accepted: bool, blame: bool) -> Row:
    if row.settled_gen and not accepted:
        row = row._replace(settled_gen=0, settled_by=NOBODY)
    if row.owner == NOBODY and row.call:
        row = row._replace(call=0, uncharged=False)
    if not blame:
        row = row._replace(blamed=0, started=False)
    if row.state in (COMPLETE, DEAD):
        row = row._replace(failures=0, crashes=0, starts=0, call=0)
    return row


@dataclass(frozen=True, slots=True)
class DirectTwin(LedgerTwin):
    """What a broken twin of the worker or of the reaper does wrong; the code does none of it."""

    no_self_fence: bool = False
    start_uncharged: bool = False
    start_though_the_charge_is_lost: bool = False
    claim_past_the_fence: bool = False
    fence_of_the_process: bool = False
    refusal_voids_nothing: bool = False
    beat_releases_nothing: bool = False
    beat_releases_unreceived: bool = False
    forgone_reply_kept: bool = False
    beat_forgets_unsettled: bool = False
    no_reaper: bool = False
    reap_once: bool = False
    judge_without_watching: bool = False
    release_by_silence: bool = False
    release_keeps_in_hand: bool = False
    release_what_runs: bool = False
    leaving_counts_as_crash: bool = False
    leaving_names_nothing: bool = False
    leaving_keeps_the_rest: bool = False
    effects_outside_the_settle: bool = False
    commit_without_fence: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """The size of the model, the faults it suffers and the twin it is, if any."""

    budget: Budget = field(default_factory=Budget)
    twin: DirectTwin = field(default_factory=DirectTwin)
    workers: int = 2
    max_attempts: int = 2
    transaction: bool = False  # the handler writes its effects through ctx.transaction()
    blame: int | None = None  # how many crashes may be counted without a start, if that matters
    outcomes: tuple[str, ...] = (COMPLETE, RETRY, SNOOZE)
    wire: int = 1  # statements that may be on the wire at once
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        """Make the ledger."""
        object.__setattr__(self, "ledger", Ledger(self.max_attempts, self.twin))

    def settle(self, row: Row, worker: int, gen: int, outcome: str) -> Row:
        """Settle; a transactional handler's effects commit with it, or not at all."""
        after = self.ledger.settle(row, worker, gen, outcome)
        if not self.transaction or outcome != COMPLETE or self.twin.effects_outside_the_settle:
            return after
        committed = after.completions > row.completions or self.twin.commit_without_fence
        return after._replace(effects=row.effects + committed)

    def lose(self, state: State, statement: Statement, actor: str) -> Iterator[Step[State]]:
        """Leave a statement on the wire: its sender will not learn whether it committed."""
        if state.budget.losses and len(state.wire) < self.wire:
            after = state.spend("losses")._replace(wire=(*state.wire, statement))
            about = statement.worker, statement.gen
            yield Step(statement.action, actor, after, "connection lost", True, *about)
