"""What an engine in direct mode must do, in memory: the reference of the state machine."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from headrace.model.job import Delivery, Inserted, NewJob, Settlement, Token
from headrace.model.state import State, Stored

_CRASHES = 3


@dataclass
class Row:
    """A job.

    Attributes:
        settled: who settled which generation.
        ends: the generations that ended unhappily, and how, as its history has them.
    """

    job: NewJob
    due: bool
    gen: int = 1
    stored: Stored = Stored.LIVE
    failures: int = 0
    crashes: int = 0
    snoozes: int = 0
    owner: UUID | None = None
    call: int = 0
    settled: dict[int, UUID] = field(default_factory=dict)
    ends: list[tuple[int, str]] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        return self.stored is Stored.LIVE and self.owner is None

    @property
    def state(self) -> State:
        if self.stored is not Stored.LIVE:
            return State[self.stored.name]
        if self.owner is not None:
            return State.RUNNING
        if self.due:
            return State.AVAILABLE
        return State.RETRYABLE if self.failures else State.SCHEDULED

    def holds(self, gen: int) -> bool:
        return self.stored is Stored.LIVE and self.gen == gen

    def end_gen(self, kind: str | None) -> None:
        """The generation is over; whoever has it has nothing any more."""
        if kind is not None:
            self.ends.append((self.gen, kind))
        self.gen += 1
        self.owner = None

    def crash(self) -> None:
        self.crashes += 1
        self.end_gen("dead" if self.spent else "crash")
        if self.spent:
            self.stored = Stored.DEAD

    @property
    def spent(self) -> bool:
        """Whether it may not start again; a crash is no attempt, but too many are too many."""
        most = self.job.max_attempts
        if self.job.rerun_on_crash or most > 1:
            return self.failures >= most or self.crashes >= max(_CRASHES, most)
        return self.failures + self.crashes >= 1

    def settle(self, worker: UUID, one: Settlement) -> bool:
        """Write an outcome; False, and nothing is changed, if the attempt is stale."""
        if not self.holds(one.gen):
            return False
        self.settled[one.gen] = worker
        self.failures += one.failed
        self.snoozes += one.snoozed
        self.owner = None
        if one.state is Stored.LIVE:
            self.due = not one.delay
            self.end_gen("retry" if one.failed else "snooze")
        elif one.state is not Stored.COMPLETED:
            self.ends.append((one.gen, one.state.name.lower()))
        self.stored = one.state
        return True


class Model:
    """All jobs, and which workers were taken for dead."""

    def __init__(self) -> None:
        self.rows: dict[UUID, Row] = {}
        self.keys: dict[str, UUID] = {}
        self.given: set[Token] = set()
        self.reaped: set[UUID] = set()
        self.left: dict[UUID, set[Token]] = {}
        self.paused: set[str] = set()

    def insert(self, job: NewJob) -> Inserted:
        winner = job.id
        if job.unique is not None and job.unique.key is not None:
            winner = self.keys.setdefault(job.unique.key, job.id)
        if winner == job.id:
            self.rows.setdefault(job.id, Row(job, due=job.delay is None))
        return Inserted(winner, duplicate=winner != job.id)

    def take(self, worker: UUID, queue: str, call: int, n: int, got: Sequence[Delivery]) -> None:
        """Some of what is due, any of it; nothing only if nothing is."""
        due = self.due(queue)
        assert len(got) <= n
        assert bool(got) == bool(due and n)
        for one in got:
            assert one.id in due
            assert one.token not in self.given
            row = due.pop(one.id)
            row.gen += 1
            row.owner, row.call = worker, call
            assert (one.gen, one.call, one.queue) == (row.gen, call, queue)
            assert (one.failures, one.crashes) == (row.failures, row.crashes)
            assert not row.spent
            self.given.add(one.token)

    def due(self, queue: str) -> dict[UUID, Row]:
        if queue in self.paused:
            return {}
        return {
            job_id: row
            for job_id, row in self.rows.items()
            if row.waits and row.due and row.job.queue == queue
        }

    def settle(self, worker: UUID, settlements: Sequence[Settlement]) -> set[Token]:
        """Write what still counts, then recognise what this worker wrote before."""
        for one in settlements:
            self.rows[one.id].settle(worker, one)
        return {
            (one.id, one.gen)
            for one in settlements
            if self.rows[one.id].settled.get(one.gen) == worker
        }

    def commit(self, worker: UUID, one: Settlement) -> bool:
        return self.rows[one.id].settle(worker, one)

    def leave(self, worker: UUID, running: Iterable[Delivery]) -> None:
        """In good order, unless it was taken for dead before."""
        if worker not in self.reaped:
            self.reaped.add(worker)
            self.left[worker] = {one.token for one in running}

    def release(self, worker: UUID, deliveries: Iterable[Delivery]) -> None:
        for one in deliveries:
            row = self.rows[one.id]
            if row.holds(one.gen) and row.owner == worker:
                row.end_gen(None)

    def forfeit(self, worker: UUID, one: Delivery) -> bool:
        """Whether it is nobody's any more."""
        row = self.rows[one.id]
        if row.holds(one.gen) and row.owner == worker:
            row.crash()
        return not row.holds(one.gen)

    def extend(self, deliveries: Iterable[Delivery]) -> set[UUID]:
        return {one.id for one in deliveries if self.rows[one.id].holds(one.gen)}

    def beat(self, worker: UUID, hand: Sequence[Delivery], answered: int) -> set[Token] | None:
        """What is lost of the hand; None if the worker is."""
        if worker in self.reaped:
            return None
        lost = {one.token for one in hand if not self.rows[one.id].holds(one.gen)}
        named = {one.token for one in hand}
        for job_id, row in self.rows.items():
            known = (job_id, row.gen) in named or row.call > answered
            if row.owner == worker and not known:
                row.end_gen(None)
        return lost

    def reap(self) -> None:
        for row in self.rows.values():
            if row.owner in self.reaped:
                runs = self.left.get(row.owner)
                if runs is None or (row.job.id, row.gen) in runs:
                    row.crash()
                else:
                    row.end_gen(None)

    def cancel(self, row: Row) -> bool:
        if not row.waits:
            return False
        row.end_gen("cancelled")
        row.stored = Stored.CANCELLED
        return True

    def promote(self, row: Row) -> bool:
        if not row.waits or row.due:
            return False
        row.end_gen("promote")
        row.due = True
        return True

    def replay(self, row: Row) -> bool:
        if row.stored is not Stored.DEAD:
            return False
        row.end_gen("replay")
        row.stored, row.due = Stored.LIVE, True
        row.failures = row.crashes = row.snoozes = 0
        return True
