"""What a handler knows of its job, and a context for plain calls of a task."""

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Never, Protocol, TypeVar
from uuid import UUID, uuid4

from headrace.errors import UsageError
from headrace.model.cancellation import Cancellation
from headrace.model.duration import Duration, parse_duration
from headrace.model.flow import Parent
from headrace.model.outcome import RateLimited
from headrace.model.shown import shown

T = TypeVar("T")
Lifespan = Callable[[], AsyncIterator[T]]
StateOf = Callable[[Lifespan[Any]], Any]
"""Gives what a lifespan hook yielded in this process."""


_log = logging.getLogger("headrace.worker")


class Nothing:
    """To be awaited by who likes to, at once and as often."""

    def __await__(self) -> Generator[Any, Any, None]:
        """Give nothing."""
        yield from ()


NOTHING_TO_AWAIT = Nothing()


class InFlow(Protocol):
    """The flow of a job, as its handler sees it."""

    async def add(self, *jobs: Any, name: str | None = None) -> list[UUID]:  # noqa: ANN401 - specs of any task
        """Add jobs that run beside each other, before all that comes after this one.

        They are written in `ctx.transaction()`: they are there once this job is completed by this
        attempt, and else never. What waits for this job waits for them, too.

        Args:
            jobs: made by `task.job(...)`.
            name: what they are called in the flow; each by its task where it is not given.

        Returns:
            Their ids.

        Raises:
            UsageError: a job was refused, has an ordering key or is unique, or the handler runs in
                a thread, or no job stands behind the context.
        """


class Context(Protocol):
    """One attempt of a job, as its handler sees it: annotate the first parameter with it.

    Attributes:
        job_id: the job.
        task: the name of its task.
        queue: the queue it came from.
        attempt: the number of this run, from 1.
        max_attempts: the runs in all.
        idempotency_key: the same for every attempt of the job, for services that deduplicate: its
            id, not the key that it may have been enqueued with.
        schedule: the name of the schedule that made the job; None for all other jobs.
        scheduled_for: the tick that it was made for, an aware datetime, however late it runs.
        headers: what `@app.around_enqueue` gave the job on its way.
        seconds_left: until the timeout of this run.
        cancellation: who wants the job to end, and why; None while nobody does. A coroutine is
            cancelled then; a thread cannot be: it looks here, and returns or raises `Cancel`.
    """

    @property
    def job_id(self) -> UUID: ...  # noqa: D102 - the class names the attributes

    @property
    def task(self) -> str: ...  # noqa: D102

    @property
    def queue(self) -> str: ...  # noqa: D102

    @property
    def attempt(self) -> int: ...  # noqa: D102

    @property
    def max_attempts(self) -> int: ...  # noqa: D102

    @property
    def idempotency_key(self) -> str: ...  # noqa: D102

    @property
    def schedule(self) -> str | None: ...  # noqa: D102

    @property
    def scheduled_for(self) -> datetime | None: ...  # noqa: D102

    @property
    def headers(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def seconds_left(self) -> float: ...  # noqa: D102

    @property
    def cancellation(self) -> Cancellation | None: ...  # noqa: D102

    @property
    def flow(self) -> InFlow:
        """The flow of the job: `await ctx.flow.add(...)` puts jobs before what comes after it."""

    async def parents(self) -> list[Parent]:
        """The jobs that this one came after, in the order in which they were made.

        Raises:
            LedgerUnavailable: PostgreSQL cannot be reached.
        """

    def on_soft_timeout(self, call: Callable[[], object]) -> None:
        """Have a function called when this run passes its soft timeout, unless it ends before.

        It is called in the event loop, also for a handler in a thread, so it must not block: it
        sets an event, or a flag that the handler looks at. At a plain call of the task never.

        Raises:
            UsageError: the task has no soft timeout.
        """

    def progress(self, fraction: float, message: str = "") -> Awaitable[None]:
        """Tell how far the job is: `job.refresh()` shows it a second later.

        It is noted at once, and written in batches: there is nothing to wait for. So it works from
        a handler's thread, too, where nothing is awaited.

        Args:
            fraction: 0 to 1.
            message: a few words, 1,000 characters at most.

        Raises:
            UsageError: the fraction is no such number.
        """
        ...

    def log(self, text: object) -> None:
        """Keep a line with the job, and write it to the worker's log; from any thread.

        Args:
            text: 1,000 characters at most; the last 200 lines of a job are kept.
        """

    def rate_limited(self, after: Duration, *, limit: str = "") -> Never:
        """An outside service wants less: raise `RateLimited`.

        Args:
            after: how long the job's rate limits rest, for all workers.
            limit: the name of the one that rests; all of them, if it is not given.

        Raises:
            RateLimited: always.
            UsageError: the duration cannot be.
        """
        raise RateLimited(after, limit=limit)

    async def extend(self, duration: Duration) -> None:
        """Ask for more time: the attempt's deadline moves to `duration` from now.

        Raises:
            StaleAttempt: another attempt owns the job.
            UsageError: the duration cannot be, or the handler runs in a thread.
        """

    def state(self, hook: Lifespan[T]) -> T:
        """What a lifespan hook yielded when this process began.

        Args:
            hook: the function under `@app.lifespan`.

        Raises:
            UsageError: it is no such function, or not open here.
        """
        ...

    def transaction(self, session: object = None) -> AbstractAsyncContextManager[Any]:
        """A connection whose writes commit with the job's completion, or not at all.

        They commit when the handler has returned and this attempt still owns the job. If it raises,
        returns `Retry`, `Snooze`, `Cancel` or `Dead`, or is stale, they are undone. A block that
        raises is undone by itself; several blocks share one commit.

        Args:
            session: an AsyncSession of SQLAlchemy to use instead of an asyncpg connection; it is
                closed at the end.

        Raises:
            UsageError: another session than before, or none of SQLAlchemy, or the handler runs in a
                thread.
        """


def check_fraction(fraction: object) -> None:
    """Refuse what is no part of a whole.

    Raises:
        UsageError: it is no number from 0 to 1.
    """
    if not (isinstance(fraction, int | float) and 0 <= fraction <= 1):
        raise UsageError(
            f"progress({shown(fraction)}) is no part of a whole; give a number from 0 to 1"
        )


class LocalContext:
    """The context of a plain call: no job stands behind it."""

    def __init__(self, task: str, queue: str, max_attempts: int, state_of: StateOf) -> None:
        self._state_of = state_of
        self.job_id: UUID = uuid4()
        self.task = task
        self.queue = queue
        self.attempt = 1
        self.max_attempts = max_attempts
        self.schedule: str | None = None
        self.scheduled_for: datetime | None = None
        self.cancellation: Cancellation | None = None
        self.headers: Mapping[str, Any] = {}
        self.seconds_left: float = math.inf

    def on_soft_timeout(self, call: Callable[[], object]) -> None:
        """A plain call has no timeout: nothing is ever called."""

    @property
    def idempotency_key(self) -> str:
        """The made-up job's id."""
        return str(self.job_id)

    @property
    def flow(self) -> InFlow:
        """Refused: a plain call is of no flow.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f'a plain call of task "{self.task}" is of no flow; enqueue it by app.flow().add(...)'
        )

    async def parents(self) -> list[Parent]:
        """None: a plain call comes after no job."""
        return []

    def rate_limited(self, after: Duration, *, limit: str = "") -> Never:
        """Raise `RateLimited`; a plain call has no limits."""
        raise RateLimited(after, limit=limit)

    def progress(self, fraction: float, message: str = "") -> Awaitable[None]:  # noqa: ARG002 - as in the protocol
        """Nobody watches a plain call; the fraction is checked all the same."""
        check_fraction(fraction)
        return NOTHING_TO_AWAIT

    def log(self, text: object) -> None:
        """No job keeps it."""
        _log.info("%s: %s", self.task, text)

    def state(self, hook: Lifespan[T]) -> T:
        """What the hook yielded, where it is open.

        Raises:
            UsageError: it is not.
        """
        value: T = self._state_of(hook)
        return value

    async def extend(self, duration: Duration) -> None:
        """A plain call has no deadline; the duration is checked all the same."""
        parse_duration(duration, "duration")

    def transaction(
        self,
        session: object = None,  # noqa: ARG002 - as in the protocol
    ) -> AbstractAsyncContextManager[Any]:
        """Refused: without a job there is nothing to commit with.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f'a plain call of task "{self.task}" has no job whose completion could commit with '
            "the transaction; enqueue it"
        )


def is_context_type(hint: object) -> bool:
    """Whether an annotation says `Context`."""
    return isinstance(hint, type) and Context in hint.__mro__
