"""Schedules: what makes a job at each tick, and what is known of them."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from headrace.model.job import Headers, NewJob
from headrace.model.links import Links
from headrace.model.timing import Timing
from headrace.model.unique import Unique

NO_ID = UUID(int=0)
"""In the place of an id that PostgreSQL makes."""

Template = dict[str, Any]
"""A job that is made again and again: the fields of `NewJob` that differ from the defaults.

`args` are its arguments as they are stored, `unique` is the document of a `Unique`; what its task
says of queue, priority and attempts may be left out.
"""

_HEADER = "schedule"
_SAID = ("task", "queue", "priority", "max_attempts", "rerun_on_crash")
_FENCE = timedelta(hours=1)


class Tick(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a job knows of the tick that it was made for.

    Attributes:
        name: of the schedule.
        at: the moment that was scheduled.
        by_hand: somebody asked for this run; it is none of the schedule's own ticks.
    """

    name: str
    at: datetime
    by_hand: bool = False


def tick_of(headers: Headers | None) -> Tick | None:
    """The tick that a job was made for; None for jobs of no schedule."""
    said = None if headers is None else headers.get(_HEADER)
    return None if said is None else msgspec.convert(said, Tick)


def template_of(job: NewJob) -> Template:
    """What is to be made again and again."""
    plain = NewJob(id=job.id, task=job.task, queue=job.queue, payload=job.payload)
    differs = [name for name in job.__struct_fields__ if getattr(job, name) != getattr(plain, name)]
    fields = {name: getattr(job, name) for name in {*_SAID, *differs}}
    if job.unique is not None:
        fields["unique"] = job.unique.document()
    if job.links is not None:
        fields["links"] = job.links.document()
    return {**msgspec.to_builtins(fields), "args": msgspec.json.decode(job.payload)}


def job_of(template: Template, tick: Tick, timing: Timing) -> NewJob:
    """The job of a tick, which is made once, whoever makes it; PostgreSQL makes its id.

    A key of its own says what becomes of it while the last one holds that; else the tick is one.
    """
    apart = {"args", "unique", "headers", "links"}
    fields = {name: value for name, value in template.items() if name not in apart}
    links = template.get("links")
    said, delay = template.get("unique"), timing.delay(tick.name, tick.at)
    fence = Unique(key=f"schedule {tick.name} {tick.at.isoformat()}", for_=_FENCE)
    return NewJob(
        **fields,
        id=NO_ID,
        payload=msgspec.json.encode(template.get("args", {})),
        headers={**(template.get("headers") or {}), _HEADER: msgspec.to_builtins(tick)},
        unique=fence if said is None else Unique.of(said),
        links=None if links is None else Links.of(links),
        run_at=tick.at + delay if delay else None,
    )


class Condition(StrEnum):
    """How a schedule is."""

    ACTIVE = "active"
    PAUSED = "paused"
    OVER = "over"
    UNDECLARED = "undeclared"


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as the ledger shows it; all times are by PostgreSQL's clock.

    Attributes:
        name: its own.
        task: the task that it makes jobs of.
        job: what else is said of these: `args`, queue, priority, ...
        timing: when it ticks.
        condition: active; paused by somebody; over: its end or limit is reached; undeclared: the
            code that declared it does not any more.
        app: the application whose code declares it, or did; None of one made at run time.
        edited: somebody changed it since the code declared it so.
        made: ticks that were made.
        last_tick: the last one of them.
        last_job: its job.
        next_tick: the next one; None unless it is active.
        error: why the job of a due tick cannot be made.
        created_at: when it was made known.
        changed_at: when it was changed last.
        seen_at: when it was as told here.
    """

    name: str
    task: str
    job: Template
    timing: Timing
    condition: Condition
    app: str | None
    edited: bool
    made: int
    last_tick: datetime | None
    last_job: UUID | None
    next_tick: datetime | None
    error: str | None
    created_at: datetime
    changed_at: datetime
    seen_at: datetime

    def upcoming(self, n: int) -> list[datetime]:
        """The next `n` ticks, as if it were active; fewer where its end or limit comes first."""
        left = n if self.timing.limit is None else min(n, self.timing.limit - self.made)
        return self.timing.upcoming(self.seen_at, left)


class ScheduleEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done to a schedule.

    Attributes:
        kind: created, declared, edited, paused, resumed, deleted, undeclared, run, missed, refused.
        actor: "cli:USER", "app:NAME", or "scheduler".
    """

    at: datetime
    kind: str
    actor: str
    data: msgspec.Raw | None


class DueSchedule(NamedTuple):
    """A schedule whose next tick has come.

    Attributes:
        version: how often it was changed.
        cursor: the ticks up to here were looked at.
        made: how many were made.
        timing: when it ticks, as JSON.
        job: its template, completed by what its task says now, as JSON.
        now: when the ledger was asked.
    """

    name: str
    version: int
    cursor: datetime
    made: int
    timing: str
    job: str
    now: datetime


class Move(NamedTuple):
    """What is to be written of a due schedule: the jobs of its ticks, and how far it is then.

    Attributes:
        schedule: as it was when it was asked for; if it is another one by now, nothing is written.
        jobs: of its ticks, in order.
        ticks: these.
        upto: the new cursor.
        then: when it is due again; None if never.
        missed: the first tick that is passed over, if some are.
    """

    schedule: DueSchedule
    jobs: list[NewJob]
    ticks: list[datetime]
    upto: datetime
    then: datetime | None
    missed: datetime | None


def move_of(schedule: DueSchedule) -> Move:
    """What is to be written of a due schedule.

    Raises:
        ValueError, msgspec.MsgspecError: what is kept of it cannot be read here.
    """
    timing = msgspec.json.decode(schedule.timing, type=Timing)
    template = msgspec.json.decode(schedule.job)
    due = timing.due(schedule.cursor, schedule.now, schedule.made)
    return Move(
        schedule=schedule,
        jobs=[job_of(template, Tick(schedule.name, tick), timing) for tick in due.ticks],
        ticks=due.ticks,
        upto=due.upto,
        then=due.then,
        missed=due.missed,
    )
