"""What applications and operators see of schedules, and do to them."""

from collections.abc import Collection, Mapping
from typing import Protocol
from uuid import UUID

from headrace.model.schedule import Schedule, ScheduleEvent, Template
from headrace.model.timing import Timing
from headrace.model.timing_options import TimingOptions


class Schedules(Protocol):
    """`actor` is who asks, such as "cli:ada"; it is kept in the schedule's history.

    A scheduler heeds a change within a second.
    """

    async def declare(
        self, app: str, said: Mapping[str, tuple[Timing, Template]], actor: str
    ) -> None:
        """Make known what the code of an application says.

        New words win over what is there; those that were said before leave alone what operators
        changed since. A pause stays in any case.
        """

    async def retire(self, app: str, declared: Collection[str], actor: str) -> list[str]:
        """Stop those that the code of an application declared and does not any more."""

    async def all(self) -> list[Schedule]:
        """Every schedule, by name."""

    async def get(self, name: str) -> Schedule:
        """One schedule.

        Raises:
            UnknownSchedule: there is none of this name.
        """

    async def history(self, name: str) -> list[ScheduleEvent]:
        """What was done to a schedule, oldest first; it outlives it."""

    async def create(self, name: str, timing: Timing, job: Template, actor: str) -> None:
        """Make a new schedule.

        Raises:
            UsageError: the name is not allowed, or taken.
            UnknownTask: no application has declared the task.
            UnknownQueue: there is no such queue.
        """

    async def edit(self, name: str, changes: TimingOptions, job: Template, actor: str) -> Schedule:
        """Change what is given and keep the rest. A job that names its task is all new.

        Raises:
            UnknownSchedule: there is none of this name.
            UsageError: a change cannot be.
            UnknownQueue: there is no such queue.
        """

    async def pause(self, name: str, actor: str) -> bool:
        """Let it tick no more; False if it was paused. Raises as `get`."""

    async def resume(self, name: str, actor: str) -> bool:
        """Let it tick from now on; False if it was not paused. Raises as `get`."""

    async def delete(self, name: str, actor: str) -> None:
        """Forget it.

        Raises:
            UnknownSchedule: there is none of this name.
            UsageError: the code of an application declares it.
        """

    async def run(self, name: str, actor: str) -> UUID:
        """Make its job once more, now, whatever its condition; returns the id. Raises as `get`."""
