"""Schedules in PostgreSQL: what applications and operators see and do."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import msgspec

from headrace.errors import LedgerBusy, UnknownQueue, UnknownSchedule, UnknownTask, UsageError
from headrace.ledger.queries import Queries
from headrace.ledger.rows import Row, tick_document
from headrace.model.names import check_name, unknown
from headrace.model.schedule import (
    Condition,
    Schedule,
    ScheduleEvent,
    Template,
    Tick,
    job_of,
)
from headrace.model.timing import Timing
from headrace.model.timing_options import TimingOptions, edited

_TRIES = 5


class PostgresSchedules:
    """One method a statement of sql/."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def declare(
        self, app: str, said: Mapping[str, tuple[Timing, Template]], actor: str
    ) -> None:
        """Make known what the code of an application says."""
        words = [{"name": name, "timing": one[0], "job": one[1]} for name, one in said.items()]
        await self._queries.fetch("declare_schedules", app, actor, _json(words))

    async def retire(self, app: str, declared: Collection[str], actor: str) -> list[str]:
        """Stop those that the code of an application declared and does not any more."""
        rows = await self._queries.fetch("retire_schedules", app, list(declared), actor)
        return [row["name"] for row in rows]

    async def all(self) -> list[Schedule]:
        """Every schedule, by name."""
        return [_schedule(row) for row in await self._queries.fetch("schedules", None)]

    async def get(self, name: str) -> Schedule:
        """One schedule.

        Raises:
            UnknownSchedule: there is none of this name.
        """
        return _schedule(await self._row(name))

    async def history(self, name: str) -> list[ScheduleEvent]:
        """What was done to a schedule, oldest first."""
        return [_event(row) for row in await self._queries.fetch("schedule_history", name)]

    async def create(self, name: str, timing: Timing, job: Template, actor: str) -> None:
        """Make a new schedule.

        Raises:
            UsageError: the name is not allowed, or taken.
            UnknownTask: no application has declared the task.
            UnknownQueue: there is no such queue.
        """
        check_name("schedule", name)
        await self._check(job)
        rows = await self._queries.fetch("create_schedule", name, _json(timing), _json(job), actor)
        if not rows:
            raise UsageError(f'schedule "{name}" is there already; edit it, or delete it first')

    async def edit(self, name: str, changes: TimingOptions, job: Template, actor: str) -> Schedule:
        """Change what is given and keep the rest.

        Raises:
            UnknownSchedule: there is none of this name.
            UsageError: a change cannot be.
            UnknownQueue: there is no such queue.
            LedgerBusy: somebody else changes it again and again.
        """
        for _ in range(_TRIES):
            row = await self._row(name)
            before = _schedule(row)
            timing = edited(before.timing, changes, name)
            changed = job if "task" in job else {**before.job, **job}
            await self._check(changed)
            version, words = row["version"], (_json(timing), _json(changed))
            if await self._queries.fetch("edit_schedule", name, version, *words, actor):
                return await self.get(name)
        raise LedgerBusy(f'schedule "{name}" is changed by others all the time; try again')

    async def pause(self, name: str, actor: str) -> bool:
        """Let it tick no more; False if it was paused."""
        return await self._pause(name, actor, paused=True)

    async def resume(self, name: str, actor: str) -> bool:
        """Let it tick from now on; False if it was not paused."""
        return await self._pause(name, actor, paused=False)

    async def delete(self, name: str, actor: str) -> None:
        """Forget it.

        Raises:
            UnknownSchedule: there is none of this name.
            UsageError: the code of an application declares it.
        """
        rows = await self._queries.fetch("delete_schedule", name, actor)
        if not rows:
            raise await self._unknown(name)
        if (app := rows[0]["app"]) is not None:
            raise UsageError(
                f'schedule "{name}" is declared in the code of application "{app}", which would '
                "make it anew; remove it there first, or pause it"
            )

    async def run(self, name: str, actor: str) -> UUID:
        """Make its job once more, now."""
        row = await self._row(name)
        tick = Tick(name, row["now"], by_hand=True)
        document = tick_document(job_of(msgspec.json.decode(row["whole_job"]), tick, Timing()))
        rows = await self._queries.fetch("run_schedule", name, actor, _json(document))
        job_id: UUID = rows[0]["job_id"]
        return job_id

    async def _pause(self, name: str, actor: str, *, paused: bool) -> bool:
        rows = await self._queries.fetch("pause_schedule", name, paused, actor)
        if not rows:
            raise await self._unknown(name)
        return bool(rows[0]["changed"])

    async def _row(self, name: str) -> Row:
        rows = await self._queries.fetch("schedules", name)
        if not rows:
            raise await self._unknown(name)
        return rows[0]

    async def _unknown(self, name: str) -> UnknownSchedule:
        names = [row["name"] for row in await self._queries.fetch("schedules", None)]
        return UnknownSchedule(unknown("schedule", name, names))

    async def _check(self, job: Template) -> None:
        (known,) = await self._queries.fetch("known_names")
        tasks: Sequence[str] = known["tasks"]
        queues: Sequence[str] = known["queues"]
        if job["task"] not in tasks:
            raise UnknownTask(unknown("task", job["task"], tasks))
        if "queue" in job and job["queue"] not in queues:
            raise UnknownQueue(unknown("queue", job["queue"], queues))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _schedule(row: Row) -> Schedule:
    timing = msgspec.json.decode(row["timing"], type=Timing)
    condition = _condition(row)
    return Schedule(
        name=row["name"],
        task=(job := msgspec.json.decode(row["job"]))["task"],
        job=job,
        timing=timing,
        condition=condition,
        app=row["app"],
        edited=row["edited"],
        made=row["made"],
        last_tick=row["last_tick"],
        last_job=row["last_job"],
        next_tick=timing.after(row["cursor"]) if condition is Condition.ACTIVE else None,
        error=row["error"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        seen_at=row["now"],
    )


def _condition(row: Row) -> Condition:
    if row["undeclared"]:
        return Condition.UNDECLARED
    if row["paused"]:
        return Condition.PAUSED
    return Condition.OVER if row["due_at"] is None else Condition.ACTIVE


def _event(row: Row) -> ScheduleEvent:
    data = row["data"]
    return ScheduleEvent(
        at=row["at"],
        kind=row["kind"],
        actor=row["actor"],
        data=None if data is None else msgspec.Raw(data.encode()),
    )
