"""Schedules at run time: `app.schedules`."""

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, Unpack
from uuid import UUID

from headrace.errors import UsageError
from headrace.intake import template
from headrace.model.names import check_name
from headrace.model.schedule import Schedule, ScheduleEvent, Template
from headrace.model.shown import shown
from headrace.model.timing import Timing
from headrace.model.timing_options import TimingOptions, read_timing
from headrace.options import refuse_unknown
from headrace.ports.engine import Engine
from headrace.ports.schedules import Schedules as Kept
from headrace.task import JobSpec, Task

T = TypeVar("T")


class Owner(Protocol):
    """What they need of their application."""

    name: str

    @property
    def engine(self) -> Engine:
        """The engine of the running event loop."""

    @property
    def actor(self) -> str:
        """Who it is."""

    async def declare(self) -> None:
        """Make known what was registered since the start."""

    def call_sync(self, make: Callable[[], Coroutine[Any, Any, T]], instead: str) -> T:
        """Run a coroutine in the portal's event loop."""


class Schedules:
    """The schedules of the database that an application works on, its own and others.

    What is done here is kept, with the application's name, in the history of the schedule. Each
    verb has a `..._sync` twin, for where no event loop runs.
    """

    def __init__(self, app: Owner) -> None:
        self._app = app
        self._declared: dict[str, tuple[Timing, Template]] = {}

    @property
    def declared(self) -> Mapping[str, tuple[Timing, Template]]:
        """What the code of this application says, by name."""
        return MappingProxyType(self._declared)

    def declare(
        self, name: str, job: JobSpec[Any] | None, timing: Timing
    ) -> Callable[[T], T] | None:
        """What `Headrace.schedule` does: with a job at once, else by a decorator of its task."""
        if name in self._declared:
            raise UsageError(f'schedule "{name}" is declared twice; give one of them another name')
        if job is not None:
            self._declared[name] = (timing, template(job, name))
            return None

        def declare(task: T) -> T:
            if not isinstance(task, Task):
                raise UsageError(
                    f'@app.schedule("{name}") stands above a task, not {shown(task)}; write it '
                    "above @app.task()"
                )
            self.declare(name, task.job(), timing)
            return task

        return declare

    async def create(
        self, name: str, job: JobSpec[Any], **timing: Unpack[TimingOptions]
    ) -> Schedule:
        """Make a new one.

        Args:
            name: of the schedule.
            job: what `task.job(...)` makes.
            timing: as in `TimingOptions`.

        Raises:
            UsageError: the name is not allowed or taken, or something else was refused.
            LedgerUnavailable: PostgreSQL cannot be reached; so with all verbs.
        """
        check_name("schedule", name)
        refuse_unknown("option of a schedule", timing, TimingOptions.__annotations__)
        read, made = read_timing(timing, name), template(job, name)
        await self._app.declare()
        await self._kept.create(name, read, made, self._app.actor)
        return await self.get(name)

    async def edit(
        self, name: str, job: JobSpec[Any] | None = None, **timing: Unpack[TimingOptions]
    ) -> Schedule:
        """Change what is given and keep the rest; None takes an option back.

        Of a schedule that code declares, this holds until that declaration itself changes.

        Raises:
            UnknownSchedule: there is none of this name.
            UsageError: a change was refused.
        """
        refuse_unknown("option of a schedule", timing, TimingOptions.__annotations__)
        made: Template = {} if job is None else template(job, name)
        await self._app.declare()
        return await self._kept.edit(name, timing, made, self._app.actor)

    async def get(self, name: str) -> Schedule:
        """One of them.

        Raises:
            UnknownSchedule: there is none of this name.
        """
        return await self._kept.get(name)

    async def all(self) -> list[Schedule]:
        """All of them, by name."""
        return await self._kept.all()

    async def history(self, name: str) -> list[ScheduleEvent]:
        """What was done to a schedule, oldest first: the last hundred changes."""
        return await self._kept.history(name)

    async def preview(self, name: str, n: int = 5) -> list[datetime]:
        """Its next `n` ticks, in UTC, as if it were active. Raises as `get`."""
        return (await self.get(name)).upcoming(n)

    async def pause(self, name: str) -> bool:
        """Let it tick no more, also after a restart; False if it was paused. Raises as `get`."""
        return await self._kept.pause(name, self._app.actor)

    async def resume(self, name: str) -> bool:
        """Let it tick from now on; what it would have ticked meanwhile is passed over.

        Returns:
            False if it was not paused.

        Raises:
            UnknownSchedule: there is none of this name.
        """
        return await self._kept.resume(name, self._app.actor)

    async def delete(self, name: str) -> None:
        """Forget it; its jobs stay.

        Raises:
            UnknownSchedule: there is none of this name.
            UsageError: the code of an application declares it.
        """
        await self._kept.delete(name, self._app.actor)

    async def run(self, name: str) -> UUID:
        """Make its job once more, now; returns the id of the job. Raises as `get`."""
        return await self._kept.run(name, self._app.actor)

    async def retire(self) -> list[str]:
        """Stop those that this application declared once and does not any more.

        Every process of `headrace worker` does this when it starts.

        Returns:
            Their names.
        """
        return await self._kept.retire(self._app.name, list(self._declared), self._app.actor)

    def create_sync(
        self, name: str, job: JobSpec[Any], **timing: Unpack[TimingOptions]
    ) -> Schedule:
        """As `create`, where no event loop runs."""
        return self._sync(lambda: self.create(name, job, **timing), "create")

    def edit_sync(
        self, name: str, job: JobSpec[Any] | None = None, **timing: Unpack[TimingOptions]
    ) -> Schedule:
        """As `edit`, where no event loop runs."""
        return self._sync(lambda: self.edit(name, job, **timing), "edit")

    def get_sync(self, name: str) -> Schedule:
        """As `get`, where no event loop runs."""
        return self._sync(lambda: self.get(name), "get")

    def all_sync(self) -> list[Schedule]:
        """As `all`, where no event loop runs."""
        return self._sync(self.all, "all")

    def history_sync(self, name: str) -> list[ScheduleEvent]:
        """As `history`, where no event loop runs."""
        return self._sync(lambda: self.history(name), "history")

    def preview_sync(self, name: str, n: int = 5) -> list[datetime]:
        """As `preview`, where no event loop runs."""
        return self._sync(lambda: self.preview(name, n), "preview")

    def pause_sync(self, name: str) -> bool:
        """As `pause`, where no event loop runs."""
        return self._sync(lambda: self.pause(name), "pause")

    def resume_sync(self, name: str) -> bool:
        """As `resume`, where no event loop runs."""
        return self._sync(lambda: self.resume(name), "resume")

    def delete_sync(self, name: str) -> None:
        """As `delete`, where no event loop runs."""
        self._sync(lambda: self.delete(name), "delete")

    def run_sync(self, name: str) -> UUID:
        """As `run`, where no event loop runs."""
        return self._sync(lambda: self.run(name), "run")

    def retire_sync(self) -> list[str]:
        """As `retire`, where no event loop runs."""
        return self._sync(self.retire, "retire")

    @property
    def _kept(self) -> Kept:
        return self._app.engine.inspector.schedules

    def _sync(self, make: Callable[[], Coroutine[Any, Any, T]], verb: str) -> T:
        return self._app.call_sync(make, f"await app.schedules.{verb}(...)")
