"""The states of lane mode, the faults it suffers, and its broken twins."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from model.explorer import Step
from model.ledger import NOBODY, Ledger, LedgerTwin, Row
from model.redis_lane import RedisLane
from model.values import Value

FOUND, AHEAD = "found", "ahead"  # taken ahead of free slots: before the ledger knows, and after
HELD, RUNNING, ACKING = "held", "running", "acking"
UNSTARTED = (FOUND, AHEAD, HELD)
SAID, KEPT = "said", "kept"  # the queue is to be strict; all who live know it
NEW, FRESH, AGAIN, DONE = "new", "fresh", "again", "done"


class Delivery(Value, frozen=True):
    """A job in a process's hands: unstarted, running, finished with an outcome, or to be acked."""

    gen: int
    entry_gen: int  # the generation of the lane's entry: older, once it is claimed in the ledger
    call: int  # number of the take that gave it
    verify: bool
    phase: str = HELD
    strict: bool = False  # admitted as of a strict queue: claimed in the ledger before it starts


class Worker(Value, frozen=True):
    """A worker process with one slot; a restart gives it a new identity."""

    id: int
    calls: int = 0  # number of its last take
    reply: Delivery | None = None  # what a take gave whose reply is under way
    forgone: bool = False  # that reply is wanted no more
    hand: Delivery | None = None
    silent: bool = False  # its lease in the lane is over, and its own clock says so
    heeds: bool = True  # it knows the present mode: it books nothing of the epoch before
    said: bool = True  # and the ledger knows that, and all that it holds
    named: tuple[int, int] | None = None  # what a beat under way read in its hand: gen and call
    unaware: bool = False  # it has not heard that the queue is strict


class Producer(Value, frozen=True):
    """Who inserts the job and pushes it once."""

    stage: str = NEW
    epoch: int = 0  # the lane's epoch that it knew before its COMMIT
    window: bool = True  # the stamp of its push is fresh


class Operator(Value, frozen=True):
    """Who cancels the job once: what comes next, and at the end the answer."""

    action: str = ""
    held: tuple[int, ...] = ()  # generations in somebody's hands when the entry was flagged
    epoch: int = 0  # of the lane that was asked; 0: it could not be, or it is not calm
    answer: str = ""


class Reaper(Value, frozen=True):
    """What the reaper is about to do for one expired entry; nothing if idle."""

    action: str = ""
    gen: int = 0
    started: bool = False
    lease: tuple[int, int] = (NOBODY, 0)  # whose it was, by which take
    epoch: int = 0
    new_gen: int = 0


class Statement(Value, frozen=True):
    """A call whose sender no longer waits: it takes effect later, or never."""

    action: str
    worker: int = NOBODY
    gen: int = 0
    call: int = 0
    outcome: str = ""
    epoch: int = 0
    named: tuple[int, ...] = ()


class Budget(Value, frozen=True):
    """How often each fault, and each thing that may go on for ever, may still happen."""

    crashes: int = 0
    expiries: int = 0  # leases of live workers that end; live workers cut off for a whole grace
    losses: int = 0  # calls whose sender loses the connection
    drains: int = 0
    failures: int = 0  # handlers that fail, below the last attempt
    flushes: int = 0
    failovers: int = 0  # restarts with an older state
    cancels: int = 0
    overruns: int = 0  # handlers that block their worker, which forgoes what it cannot read
    aheads: int = 0  # takes ahead of free slots
    changes: int = 0  # by operators, of what runs again
    restores: int = 0  # of the ledger, to a dump
    switches: int = 0  # to direct mode, by a vote: the lane cannot be told
    promises: int = 0  # queues that become strict

    @property
    def losses_of_lane(self) -> tuple[int, ...]:
        """Of what the lane had: its data, or its word."""
        return self.flushes, self.failovers, self.switches


class State(Value, frozen=True):
    """Ledger, lane, processes, and what is under way between them."""

    row: Row
    lane: RedisLane
    workers: tuple[Worker, ...]
    budget: Budget
    producer: Producer = Producer()
    relay: int = 0  # the generation that a sweep read and will put
    reaper: Reaper = Reaper()
    operator: Operator = Operator()
    epoch: int = 1  # of the lane, in the ledger
    direct: bool = False  # the ledger gives out jobs, and the lane does not know
    closed: bool = False  # that lane was in its grace; when it ends, all have heard of the switch
    promise: str = ""  # of the queue
    lost: bool = False  # the lane has lost data and nobody has begun to rebuild it
    grace: bool = False
    verify_all: bool = False
    snapshot: RedisLane | None = None  # a replica's older copy of the lane
    dump: tuple[Row, int] | None = None  # of the ledger: the row, and the lane's epoch
    strange: bool = False  # the lane is of a history that the ledger has lost
    ahead: bool = False  # and at a later epoch than the ledger
    judged: frozenset[int] = frozenset()  # identities that a reaper has voided for ever
    registered: int = 0  # identities given so far
    uncharged: frozenset[tuple[int, int]] = frozenset()  # in the ledger: takes ahead, by worker
    wire: tuple[Statement, ...] = ()

    @property
    def served(self) -> int:
        """The epoch that the lane goes by."""
        return self.epoch - self.direct

    @property
    def gives(self) -> bool:
        """Whether the lane gives out what it has."""
        return not (self.closed if self.direct else self.grace)

    def spend(self, fault: str) -> "State":
        """Take one from the budget of a fault."""
        left = getattr(self.budget, fault) - 1
        return self._replace(budget=self.budget._replace(**{fault: left}))


@dataclass(frozen=True, slots=True)
class LaneTwin:
    """What a broken twin of lane mode does wrong; the code does none of it."""

    # producer and relay
    no_sweep: bool = False
    late_put_unflagged: bool = False
    second_put_unflagged: bool = False
    relay_put_unflagged: bool = False
    put_without_epoch: bool = False
    no_tombstone: bool = False
    # worker
    no_lease: bool = False
    no_self_fence: bool = False
    ack_before_settle: bool = False
    release_unflagged: bool = False
    beat_releases_nothing: bool = False
    beat_releases_unreceived: bool = False
    forgone_reply_kept: bool = False
    late_beat_voids_nothing: bool = False
    late_beat_keeps_the_reply: bool = False
    last_attempt_not_claimed: bool = False
    strict_not_claimed: bool = False
    unclaimed_start_though_strict: bool = False
    promise_kept_at_once: bool = False
    start_uncharged: bool = False
    start_though_the_charge_is_lost: bool = False
    # reaper
    no_reaper: bool = False
    expired_condemns_nothing: bool = False
    reaper_redelivers_in_the_lane: bool = False
    bump_without_epoch: bool = False
    bump_blames_the_unclaimed: bool = False
    reaper_puts_owned_rows: bool = False
    # operator
    cancel_without_flag: bool = False
    cancel_leaves_no_tombstone: bool = False
    cancel_looks_once: bool = False
    cancel_trusts_any_epoch: bool = False
    reprioritise_blindly: bool = False
    # rebuild
    no_grace: bool = False
    no_verify_all: bool = False
    verify_all_ends_by_time: bool = False
    old_reply_kept: bool = False
    # mode switch
    heed_keeps_the_reply: bool = False
    heeds_after_it_said_so: bool = False
    said_before_adopted: bool = False
    adopts_by_old_names: bool = False
    adopt_without_epoch: bool = False
    releases_by_the_loops_word: bool = False
    calm_by_majority: bool = False
    claim_before_calm: bool = False
    late_beat_heeds_nothing: bool = False
    # restored ledger
    newer_than_the_ledger_is_kept: bool = False
    later_epoch_not_passed: bool = False
    strange_lane_kept: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """The size of the model, the faults it suffers and the twin it is, if any."""

    budget: Budget = field(default_factory=Budget)
    twin: LaneTwin = field(default_factory=LaneTwin)
    pushes: bool = True  # the producer puts what it inserted, else only the relay does
    claim_after_loss: bool = False  # verify by a claim in the ledger once the lane lost data
    expired_is_final: bool = False  # a worker that was listed is refused from then on
    entry_epochs: bool = False  # a take flags what was put under an older epoch
    workers: int = 2
    max_attempts: int = 9  # beyond what the budget reaches: the lane alone dispatches
    strict: bool = False  # the queue, from the beginning
    wire: int = 1
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        """Make the ledger."""
        twin = LedgerTwin(bump_blames_the_unclaimed=self.twin.bump_blames_the_unclaimed)
        object.__setattr__(self, "ledger", Ledger(self.max_attempts, twin))

    def claims(self, hand: Delivery) -> bool:
        """Whether an attempt is to be claimed in the ledger before it starts."""
        if self.max_attempts == 1 and not self.twin.last_attempt_not_claimed:
            return True
        return hand.strict and not self.twin.strict_not_claimed

    def mark(self, state: State) -> int:
        """Return the epoch that an entry remembers."""
        return state.epoch if self.entry_epochs else 0

    def put(self, state: State, gen: int) -> RedisLane:
        """Put what was read in the ledger: always to be verified."""
        verify = not self.twin.relay_put_unflagged
        return state.lane.put(gen, self.mark(state), verify=verify)


def with_worker(state: State, number: int, worker: Worker) -> State:
    """Return the state with another worker in the place of one."""
    workers = (*state.workers[:number], worker, *state.workers[number + 1 :])
    return state._replace(workers=workers)


def restarted(state: State, number: int) -> State:
    """Return the state in which a process has begun again, under a new identity."""
    fresh = Worker(state.registered + 1, said=not state.direct)
    return with_worker(state, number, fresh)._replace(registered=fresh.id)


def lose(setting: Setting, state: State, statement: Statement, actor: str) -> Iterator[Step[State]]:
    """Leave a call on the wire: its sender will not learn whether it took effect."""
    if state.budget.losses and len(state.wire) < setting.wire:
        after = state.spend("losses")._replace(wire=(*state.wire, statement))
        yield Step(statement.action, actor, after, "connection lost", fault=True)
