"""All jobs in memory: who has which, and the keys and queues that they need."""

import os
from collections.abc import Iterable, Sequence
from threading import RLock
from uuid import UUID

import msgspec

from headrace.bus.memory import MemoryBus
from headrace.engines.memory.clock import StillClock
from headrace.engines.memory.keys import Keys
from headrace.engines.memory.row import Row
from headrace.engines.memory.streams import MemoryStreams
from headrace.errors import DuplicateJob, UnknownQueue
from headrace.model.cancellation import Cancellation
from headrace.model.inspection import JobEvent
from headrace.model.job import Delivery, Inserted, NewJob
from headrace.model.names import unknown
from headrace.model.priority import STRIDES, Shares
from headrace.model.promise import Promise
from headrace.model.task import Declaration
from headrace.model.topic import Subscription

_TICKS = 4096  # to a millisecond
_VERSION = 7 << 76
_VARIANT = 2 << 62


class Lease:
    """A worker that was registered.

    Attributes:
        void: it was taken for dead, or has left.
        left_with: what it said it still ran when it left.
        ahead: by queue, the call that took jobs ahead of free slots.
    """

    def __init__(self, host: str, pid: int, queues: dict[str, int], seconds: float) -> None:
        self.host = host
        self.pid = pid
        self.queues = queues
        self.seconds = seconds
        self.busy: int | None = None
        self.void = False
        self.left_with: dict[UUID, int] | None = None
        self.ahead: dict[str, int] = {}

    def ran(self, row: Row) -> bool:
        """Whether a job of its may have started."""
        if self.left_with is not None:
            return self.left_with.get(row.new.id) == row.gen
        return self.ahead.get(row.new.queue) != row.call


class Queue:
    """A queue.

    Attributes:
        shares: how its levels share the takes.
        promise: None where nothing was said.
    """

    def __init__(self) -> None:
        self.paused = False
        self.promise: Promise | None = None
        self.shares: Shares = Shares()


class Book:
    """What engines in memory share: one in each event loop of a process, all with the same jobs.

    Attributes:
        lock: to be held while anything here is read or changed.
        clock: by which jobs are due.
        bus: what tells of them.
        streams: what is kept for readers.
    """

    def __init__(self) -> None:
        self.lock: RLock = RLock()
        self.clock: StillClock = StillClock()
        self.bus: MemoryBus = MemoryBus()
        self.streams: MemoryStreams = MemoryStreams(self.clock, self.lock)
        self.rows: dict[UUID, Row] = {}
        self.queues: dict[str, Queue] = {}
        self.tasks: dict[str, Declaration] = {}
        self.subscriptions: dict[tuple[str, str], Subscription] = {}
        self.workers: dict[UUID, Lease] = {}
        self.wishes: dict[UUID, Cancellation] = {}
        self.events: dict[UUID, list[JobEvent]] = {}
        self.keys: Keys = Keys(self.rows)
        self._last = 0

    def new_id(self) -> UUID:
        """An id, later than all before it."""
        with self.lock:
            now = int(self.clock.now().timestamp() * 1000 * _TICKS)
            self._last = max(self._last + 1, now)
            milliseconds, fraction = divmod(self._last, _TICKS)
            high = milliseconds << 80 | _VERSION | fraction << 64
            return UUID(int=high | _VARIANT | int.from_bytes(os.urandom(7)))

    def insert(self, jobs: Sequence[NewJob]) -> list[Inserted]:
        """All or none.

        Raises:
            UnknownQueue: of one of them.
            DuplicateJob: another job holds the key of one of them.
        """
        for job in jobs:
            if job.queue not in self.queues:
                known = unknown("queue", job.queue, sorted(self.queues))
                raise UnknownQueue(f"{known}; a task must declare it or an operator create it")
        before = set(self.rows)
        try:
            return [self._insert(job) for job in jobs]
        except DuplicateJob:
            for job_id in self.rows.keys() - before:
                self.forget(job_id)
            raise

    def _insert(self, job: NewJob) -> Inserted:
        now = self.clock.now()
        due = now if job.run_at is None else self.clock.ahead(job.run_at)
        due = due if job.delay is None else now + job.delay
        if job.unique is not None:
            winner = self.keys.take(job, job.unique, now, due)
            if winner != job.id:
                return Inserted(winner, duplicate=True)
        if job.id not in self.rows:
            self.rows[job.id] = Row(job, now, due)
        return Inserted(job.id)

    def take(self, worker: UUID, queue: str, call: int, n: int) -> list[Delivery]:
        """Up to `n` due jobs, those of each priority level in order; levels share by weight."""
        now, lease = self.clock.now(), self.workers.get(worker)
        if lease is None or lease.void or queue not in self.queues or self.queues[queue].paused:
            return []
        shares = self.queues[queue].shares
        passes, nth = shares.passes(), dict.fromkeys(range(1, 11), 0)
        ranked: list[tuple[float, int, Row]] = []
        for row in self.ripe([queue]):
            nth[row.priority] += 1
            level = row.priority - 1
            ranked.append((passes[level] + nth[row.priority] * STRIDES[level], row.priority, row))
        chosen = [row for _, _, row in sorted(ranked, key=lambda one: one[:2])[:n]]
        shares.took(row.priority for row in chosen)
        return [row.give(worker, call, now) for row in chosen]

    def ripe(self, queues: Iterable[str] | None = None) -> list[Row]:
        """What can be given out now, in order; paused queues are not looked at."""
        now = self.clock.now()
        open_ = {
            name for name in (self.queues if queues is None else queues) if name in self.queues
        }
        found = [
            row
            for row in self.rows.values()
            if row.new.queue in open_ and not self.queues[row.new.queue].paused and row.ripe(now)
        ]
        return sorted(found, key=lambda row: (row.due, row.new.id))

    def own(self, worker: UUID, delivery: Delivery) -> Row | None:
        """The row of a job that is in this worker's hands under this token."""
        row = self.rows.get(delivery.id)
        mine = row is not None and row.live and row.owner == worker and row.gen == delivery.gen
        return row if mine else None

    def bury(self, worker: UUID) -> None:
        """Take a worker for dead, or finish with one that left: what it has goes to others."""
        lease = self.workers[worker]
        lease.void = True
        for row in list(self.rows.values()):
            if row.live and row.owner == worker:
                if lease.ran(row):
                    row.cut_short(self.clock.now())
                    self.note(row, "dead" if row.over else "crash", "reaper")
                else:
                    row.take_back()

    def note(
        self, row: Row, kind: str, actor: str, gen: int | None = None, *, error: str | None = None
    ) -> None:
        """Write into a job's history what ended a generation, the one before if none is named."""
        ended = row.gen - 1 if gen is None else gen
        data = None if error is None else msgspec.Raw(error.encode())
        event = JobEvent(at=self.clock.now(), gen=ended, kind=kind, actor=actor, data=data)
        self.events.setdefault(row.new.id, []).append(event)

    def forget(self, job_id: UUID) -> None:
        """Delete a job with its history and key."""
        del self.rows[job_id]
        self.events.pop(job_id, None)
        self.wishes.pop(job_id, None)
        self.keys.forget(job_id)
