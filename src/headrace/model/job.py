"""The values that travel: jobs to insert, to run and to show, and the outcomes to write."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from headrace.model.attempts import spent
from headrace.model.cancellation import Cancellation
from headrace.model.lane_view import LaneView
from headrace.model.links import Links
from headrace.model.state import State, Stored
from headrace.model.told import Told
from headrace.model.unique import Unique

Token = tuple[UUID, int]
"""What names one attempt and no other: (id, gen)."""

Headers = dict[str, Any]
"""What rare features need of a job on its way to the worker, each under a key of its own."""

CLAIM = "claim"
"""The header of a job that is claimed in the ledger before it starts, in hybrid mode as well."""


class NewJob(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A job before it is inserted; `payload` is its arguments as a JSON object.

    Attributes:
        id: UUIDv7 on the ledger's clock, made by the client so that a lost reply can be repeated.
        delay: from the ledger's now; excludes `run_at`.
        run_at: not before; a past time runs now.
        rerun_on_crash: with one attempt, too, a run cut short by its worker's death is repeated.
        headers: None for all but rare jobs.
        links: what it waits for, and what waits for it; None for all but rare jobs.
    """

    id: UUID
    task: str
    queue: str
    payload: bytes
    priority: int = 5
    max_attempts: int = 3
    delay: timedelta | None = None
    run_at: datetime | None = None
    unique: Unique | None = None
    tenant: str = ""
    rerun_on_crash: bool = False
    headers: Headers | None = None
    links: Links | None = None

    @property
    def may_wait(self) -> bool:
        """Whether its insert may wait for another transaction."""
        return self.unique is not None or self.links is not None


class Inserted(msgspec.Struct, frozen=True, gc=False):
    """What became of a `NewJob`: its id, or that of the job which holds its unique key.

    `blocked`: it waits for others, or for seats; `seated`: it needs them.
    """

    id: UUID
    duplicate: bool = False
    blocked: bool = False
    seated: bool = False


class Delivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A job in a worker's hands: the job, its fencing token `gen`, and the call that gave it.

    Attributes:
        call: the number of the worker's claim or take that gave it.
        flagged: the ledger must be asked before it runs (protocol rule R4).
        owned: claimed in the ledger itself, not leased from a lane.
        rerun_on_crash: as in `NewJob`, and so are the headers.
    """

    id: UUID
    gen: int
    queue: str
    task: str
    payload: bytes
    priority: int
    failures: int
    crashes: int
    max_attempts: int
    call: int = 0
    flagged: bool = False
    owned: bool = True
    tenant: str = ""
    rerun_on_crash: bool = False
    headers: Headers | None = None

    @property
    def token(self) -> tuple[UUID, int]:
        """What names this attempt and no other: (id, gen)."""
        return (self.id, self.gen)

    @property
    def attempt(self) -> int:
        """The number of this run, from 1."""
        return self.failures + self.crashes + 1

    @property
    def claimed_first(self) -> bool:
        """Whether the ledger must know that it starts: a lane that loses its data loses its marks.

        So it is with a last attempt, and where the job's headers say so.
        """
        return self.last_to_crash or (self.headers is not None and CLAIM in self.headers)

    @property
    def last_to_fail(self) -> bool:
        """Whether the job is over if this run fails."""
        return self._spent_after(failures=1)

    @property
    def last_to_crash(self) -> bool:
        """Whether the job is over if this run is cut short."""
        return self._spent_after(crashes=1)

    def _spent_after(self, *, failures: int = 0, crashes: int = 0) -> bool:
        return spent(
            self.failures + failures,
            self.crashes + crashes,
            self.max_attempts,
            rerun_on_crash=self.rerun_on_crash,
        )


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What to write for one attempt, fenced by (id, gen).

    Attributes:
        state: LIVE runs again (`delay` from now), else the final state.
        failed: the attempt counts as a failure.
        snoozed: it ended in Snooze.
        ran: how long the handler ran, in seconds.
        result: JSON, or None.
        error: JSON object with `type` and `message`, or None.
        rests: the rate limit that rests for the delay, "" for all of the job's; None for none.
    """

    id: UUID
    gen: int
    state: Stored
    failed: bool = False
    snoozed: bool = False
    delay: float = 0.0
    ran: float = 0.0
    result: str | None = None
    error: str | None = None
    rests: str | None = None


class Ending(NamedTuple):
    """An attempt and what to write for it."""

    delivery: Delivery
    settlement: Settlement


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """The reply to a heartbeat.

    Attributes:
        alive: False when the worker has been reaped: all it holds is void.
        lost: attempts in hand, as (id, gen), that were given to somebody else or ended.
        view: how the lane is, where the ledger answered.
        cancellations: jobs in hand that somebody wants to end.
        said: nobody waits for the worker to say that it heeds this view.
    """

    alive: bool
    lost: frozenset[tuple[UUID, int]] = frozenset()
    view: LaneView | None = None
    cancellations: tuple[Cancellation, ...] = ()
    said: bool = True


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the ledger shows it.

    Attributes:
        priority: 1 (runs first) to 10.
        gen: how often it was given out or changed; the fence of its attempts.
        attempt: the number of the run that is on, or of the last one; 0 before the first.
        failures: runs that failed.
        crashes: runs that were cut short by the death of their worker.
        snoozes: runs that ended in `Snooze`.
        created_at: by PostgreSQL's clock, as are all times here.
        run_at: when it is due, or was.
        started_at: when its last run began; of one that a lane gave out this is known at its end.
        settled_at: when its last run ended.
        tenant: whose it is; "" where none was given.
        payload: its arguments: a JSON object.
        result: what its task returned, as JSON; None before, and where nothing was.
        error: why its last run failed, or why it was given up: `type` and `message`, and a `stack`
            where there was one.
        told: its progress and its log.
    """

    id: UUID
    task: str
    queue: str
    state: State
    priority: int
    gen: int
    attempt: int
    failures: int
    crashes: int
    snoozes: int
    max_attempts: int
    created_at: datetime
    run_at: datetime
    started_at: datetime | None
    settled_at: datetime | None
    tenant: str
    payload: msgspec.Raw
    result: msgspec.Raw | None
    error: dict[str, object] | None
    told: Told = Told()


def as_running(job: Job) -> Job:
    """The same job, known to be in a worker's hands."""
    return msgspec.structs.replace(job, state=State.RUNNING, attempt=job.failures + job.crashes + 1)
