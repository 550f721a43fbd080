"""One job in memory, and what may become of it: what the ledger's statements do to a row."""

import json
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from headrace.model.attempts import MOST_CRASHES, spent
from headrace.model.job import Delivery, Job, NewJob, Settlement, Token
from headrace.model.state import Stored, derive_state
from headrace.model.told import Told
from headrace.model.verdict import POISON, WORKER_LOST


class Row:
    """A job.

    Attributes:
        new: as it was inserted.
        owner: the worker that has it.
        call: of the owner's takes, the one that gave it.
        due: when it may run, on the engine's clock.
        told: what its attempts told.
    """

    def __init__(self, new: NewJob, now: datetime, due: datetime) -> None:
        self.new = new
        self.due: datetime = due
        self.priority: int = new.priority
        self.state: Stored = Stored.LIVE
        self.gen: int = 1
        self.failures: int = 0
        self.crashes: int = 0
        self.snoozes: int = 0
        self.owner: UUID | None = None
        self.call: int = 0
        self.started_at: datetime | None = None
        self.settled_at: datetime | None = None
        self.result: str | None = None
        self.error: str | None = None
        self.settled: set[tuple[UUID, int]] = set()
        self.told: Told = Told()
        self._run_at = new.run_at or due
        self._created_at = now
        self._ended_by_run = False

    @property
    def token(self) -> Token:
        """What names its present attempt."""
        return (self.new.id, self.gen)

    @property
    def live(self) -> bool:
        """It is neither over nor blocked."""
        return self.state is Stored.LIVE

    @property
    def over(self) -> bool:
        """It is completed, dead or cancelled."""
        return self.state >= Stored.COMPLETED

    def ripe(self, now: datetime) -> bool:
        """Whether it can be given out."""
        return self.live and self.owner is None and self.due <= now

    def give(self, worker: UUID, call: int, now: datetime) -> Delivery:
        """Into a worker's hands, under a token that nobody had."""
        self.gen += 1
        self.owner, self.call, self.started_at = worker, call, now
        return Delivery(
            id=self.new.id,
            gen=self.gen,
            queue=self.new.queue,
            task=self.new.task,
            payload=self.new.payload,
            priority=self.priority,
            failures=self.failures,
            crashes=self.crashes,
            max_attempts=self.new.max_attempts,
            call=call,
            tenant=self.new.tenant,
            rerun_on_crash=self.new.rerun_on_crash,
            headers=self.new.headers,
        )

    def take_back(self) -> None:
        """It goes back without blame."""
        self.gen += 1
        self.owner, self.started_at = None, None

    def cut_short(self, now: datetime, error: str | None = None) -> None:
        """A run ended with its worker, or was taken from it: a crash (A5)."""
        self.crashes += 1
        many = self.new.max_attempts > 1 and self.crashes >= max(
            MOST_CRASHES, self.new.max_attempts
        )
        self.error = error or (POISON if many else WORKER_LOST)
        self.settled_at, self.owner = now, None
        self.gen += 1
        most, rerun = self.new.max_attempts, self.new.rerun_on_crash
        if spent(self.failures, self.crashes, most, rerun_on_crash=rerun):
            self.state = Stored.DEAD

    def settle(self, worker: UUID, one: Settlement, now: datetime) -> bool:
        """Write an outcome, fenced; whether it was accepted, now or before."""
        if not self.live or self.gen != one.gen:
            return (worker, one.gen) in self.settled
        self.settled.add((worker, one.gen))
        self.state, self.owner = one.state, None
        self.failures += one.failed
        self.snoozes += one.snoozed
        self.result, self.error = one.result, one.error
        self.started_at, self.settled_at = now - timedelta(seconds=one.ran), now
        self._ended_by_run = one.ran > 0
        if one.state is Stored.LIVE:
            self.gen += 1
            self.fall_due(now + timedelta(seconds=one.delay))
        return True

    def fall_due(self, due: datetime) -> None:
        """Run at another time."""
        self.due = self._run_at = due

    def cancel(self, error: str, now: datetime) -> None:
        """It is not wanted any more."""
        self.gen += 1
        self.state, self.error, self.settled_at = Stored.CANCELLED, error, now
        self._ended_by_run = False

    def revive(self, now: datetime) -> None:
        """As if it had never run."""
        self.gen += 1
        self.state, self.owner = Stored.LIVE, None
        self.failures, self.crashes, self.snoozes = 0, 0, 0
        self.started_at, self.settled_at, self.error = None, None, None
        self.fall_due(now)

    def shown(self, now: datetime) -> Job:
        """As people see it."""
        running = self.live and self.owner is not None
        ran = self.state is Stored.CANCELLED and self._ended_by_run
        return Job(
            id=self.new.id,
            task=self.new.task,
            queue=self.new.queue,
            state=derive_state(
                self.state, run_at=self.due, now=now, failures=self.failures, running=running
            ),
            priority=self.priority,
            gen=self.gen,
            attempt=self.failures
            + self.crashes
            + (running or ran or self.state is Stored.COMPLETED),
            failures=self.failures,
            crashes=self.crashes,
            snoozes=self.snoozes,
            max_attempts=self.new.max_attempts,
            created_at=self._created_at,
            run_at=self._run_at,
            started_at=self.started_at,
            settled_at=self.settled_at,
            tenant=self.new.tenant,
            payload=msgspec.Raw(self.new.payload),
            result=None if self.result is None else msgspec.Raw(self.result.encode()),
            error=None if self.error is None else json.loads(self.error),
            told=self.told,
        )
