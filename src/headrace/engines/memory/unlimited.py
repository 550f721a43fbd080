"""Limits and schedules of jobs in memory: known, and without effect."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from headrace.errors import UsageError
from headrace.model.concurrency import LineSeen, LinesSaid, WidthSeen
from headrace.model.rate import Admission, Ask, LimitSeen, Rate, RateLimit, Use, WindowSeen
from headrace.model.schedule import Schedule, ScheduleEvent, Template
from headrace.model.timing import Timing
from headrace.model.timing_options import TimingOptions


class NoLimits:
    """Admits all jobs at once: a test does not wait for a rate.

    Attributes:
        seats: enough for all.
    """

    def __init__(self) -> None:
        self.seats: NoSeats = NoSeats()

    async def declare(self, limits: Iterable[RateLimit]) -> None:
        """Nothing is counted."""

    async def bound(self, depths: Mapping[str, int]) -> None:
        """No queue is ever full."""

    async def admit(self, asks: Sequence[Ask]) -> list[Admission]:
        """All of them."""
        return [Admission(put_off=False, wait=0.0) for _ in asks]

    async def rest(self, uses: Sequence[Use], duration: timedelta) -> None:
        """Nothing rests."""

    async def limits(self) -> list[LimitSeen]:
        """None."""
        return []

    async def limit(self, name: str, key: str | None = None) -> tuple[LimitSeen, list[WindowSeen]]:
        """Refused."""
        del name, key
        raise refusal("rate limits")

    async def set(self, name: str, rates: Sequence[Rate]) -> int:
        """Refused."""
        del name, rates
        raise refusal("rate limits")

    async def delete(self, name: str) -> int:
        """Refused."""
        del name
        raise refusal("rate limits")


class NoSeats:
    """Lets all jobs run at once, as many as a worker has slots for."""

    async def declare(self, said: LinesSaid) -> None:
        """Nobody stands in line."""

    async def limits(self) -> list[WidthSeen]:
        """None."""
        return []

    async def limit(self, name: str, key: str | None = None) -> tuple[WidthSeen, list[LineSeen]]:
        """Refused."""
        del name, key
        raise refusal("concurrency limits")

    async def set(self, name: str, width: int, key: str | None = None) -> None:
        """Refused."""
        del name, width, key
        raise refusal("concurrency limits")

    async def delete(self, name: str) -> bool:
        """Refused."""
        del name
        raise refusal("concurrency limits")


class NoSchedules:
    """Lets applications declare schedules, whose ticks never come."""

    async def declare(
        self, app: str, said: Mapping[str, tuple[Timing, Template]], actor: str
    ) -> None:
        """They make no jobs."""

    async def all(self) -> list[Schedule]:
        """None."""
        return []

    async def retire(self, app: str, declared: Iterable[str], actor: str) -> list[str]:
        """Refused."""
        del app, declared, actor
        raise refusal("schedules")

    async def get(self, name: str) -> Schedule:
        """Refused."""
        del name
        raise refusal("schedules")

    async def history(self, name: str) -> list[ScheduleEvent]:
        """Refused."""
        del name
        raise refusal("schedules")

    async def create(self, name: str, timing: Timing, job: Template, actor: str) -> None:
        """Refused."""
        del name, timing, job, actor
        raise refusal("schedules")

    async def edit(self, name: str, changes: TimingOptions, job: Template, actor: str) -> Schedule:
        """Refused."""
        del name, changes, job, actor
        raise refusal("schedules")

    async def pause(self, name: str, actor: str) -> bool:
        """Refused."""
        del name, actor
        raise refusal("schedules")

    async def resume(self, name: str, actor: str) -> bool:
        """Refused."""
        del name, actor
        raise refusal("schedules")

    async def delete(self, name: str, actor: str) -> None:
        """Refused."""
        del name, actor
        raise refusal("schedules")

    async def run(self, name: str, actor: str) -> UUID:
        """Refused."""
        del name, actor
        raise refusal("schedules")


def refusal(what: str) -> UsageError:
    """What is said to who asks for it."""
    return UsageError(f"jobs in memory have no {what}; test this with headrace_real")
