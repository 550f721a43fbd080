"""What a handler is told about its attempt, and what it can ask for."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Never, Protocol, TypeVar
from uuid import UUID

from headrace.batch_task import BatchTask
from headrace.context import NOTHING_TO_AWAIT, Lifespan, check_fraction
from headrace.errors import StaleAttempt, UsageError
from headrace.model.cancellation import Cancellation
from headrace.model.duration import Duration, parse_duration
from headrace.model.flow import Parent
from headrace.model.job import Delivery, Settlement
from headrace.model.outcome import RateLimited
from headrace.model.schedule import tick_of
from headrace.ports.engine import Engine, Transaction
from headrace.worker.alarm import Alarm
from headrace.worker.batches import Batches, Joining
from headrace.worker.notes import Notes, Teller
from headrace.worker.own_flow import OwnFlow

_log = logging.getLogger("headrace.worker")
T = TypeVar("T")


class Run(Joining, Protocol):
    """The attempt whose context it is.

    Attributes:
        cancellation: the wish that it end.
    """

    cancellation: Cancellation | None

    @property
    def seconds_left(self) -> float:
        """Until the timeout."""

    @property
    def soft_seconds_left(self) -> float | None:
        """Until the soft timeout; None where the task has none."""

    def prolong(self, longer: timedelta) -> None:
        """Move the deadline to that long from now."""

    def state_of(self, hook: Lifespan[T]) -> T:
        """What a lifespan hook yielded in this process."""
        ...


class AttemptContext:
    """The context of one attempt.

    Args:
        engine: where the job lives.
        delivery: the job.
        loop: the worker's.
        run: the attempt.
        teller: who writes what it tells.
        batches: the calls that it may join.

    Attributes:
        notes: what it tells, once it does.
        alarm: who wants to be told of its soft timeout, if anybody does.
        over: the handler has returned: what it left behind opens no transaction any more, which
            nobody would end (test_apart.py).
    """

    def __init__(
        self,
        engine: Engine,
        delivery: Delivery,
        loop: asyncio.AbstractEventLoop,
        run: Run,
        teller: Teller,
        batches: Batches,
    ) -> None:
        self._engine = engine
        self._delivery = delivery
        self._run = run
        self._teller = teller
        self._batches = batches
        self.notes: Notes | None = None
        self._loop = loop
        self._stack: AsyncExitStack | None = None
        self._opening: asyncio.Lock | None = None
        self._transaction: Transaction | None = None
        self.over = False
        self.alarm: Alarm | None = None

    @property
    def job_id(self) -> UUID:
        """The id of the job."""
        return self._delivery.id

    @property
    def attempt(self) -> int:
        """The number of this run, from 1."""
        return self._delivery.attempt

    @property
    def max_attempts(self) -> int:
        """The runs in all."""
        return self._delivery.max_attempts

    @property
    def queue(self) -> str:
        """The queue that the job came from."""
        return self._delivery.queue

    @property
    def task(self) -> str:
        """The name of the task."""
        return self._delivery.task

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this job: to be given to outside services."""
        return str(self._delivery.id)

    @property
    def schedule(self) -> str | None:
        """The name of the schedule that made the job."""
        tick = tick_of(self._delivery.headers)
        return None if tick is None else tick.name

    @property
    def scheduled_for(self) -> datetime | None:
        """The tick that it was made for."""
        tick = tick_of(self._delivery.headers)
        return None if tick is None else tick.at

    @property
    def headers(self) -> Mapping[str, Any]:
        """What was given to the job on its way."""
        return self._delivery.headers or {}

    @property
    def cancellation(self) -> Cancellation | None:
        """Who wants this run to end, and why; None while nobody does."""
        return self._run.cancellation

    @property
    def flow(self) -> OwnFlow:
        """The flow of this job."""
        return OwnFlow(self._engine, self.job_id, self.transaction)

    async def parents(self) -> list[Parent]:
        """The jobs that this one came after, in the order in which they were made."""
        return await self._engine.links.parents(self.job_id)

    @property
    def seconds_left(self) -> float:
        """Until the timeout of this run."""
        return self._run.seconds_left

    def on_soft_timeout(self, call: Callable[[], object]) -> None:
        """Have a function called when this run passes its soft timeout.

        Raises:
            UsageError: the task has no soft timeout.
        """
        if self._run.soft_seconds_left is None:
            raise UsageError(
                f'task "{self.task}" has no soft timeout; write @app.task(soft_timeout="80%")'
            )
        if self.alarm is None:
            self.alarm = Alarm(self._loop, self.job_id, lambda: self._run.soft_seconds_left or 0.0)
        self._loop.call_soon_threadsafe(self.alarm.set, call)

    def progress(self, fraction: float, message: str = "") -> Awaitable[None]:
        """Tell how far the work is (0 to 1): noted at once, from any thread.

        Raises:
            UsageError: the fraction is no such number.
        """
        check_fraction(fraction)
        _log.info("job %s: %.0f %% %s", self.job_id, fraction * 100, message)
        self._noted().progress(fraction, message)
        return NOTHING_TO_AWAIT

    def log(self, text: object) -> None:
        """Keep a line with the job; from any thread."""
        _log.info("job %s: %s", self.job_id, text)
        self._noted().log(text)

    async def gather(self, task: BatchTask[..., Any], item: object) -> object:
        """Wait for the call that takes this job, and return or raise what became of it."""
        return await self._batches.join(task, self._run, self, item)

    def _noted(self) -> Notes:
        if self.notes is None:
            self.notes = Notes(self._delivery, self._teller)
        return self.notes

    def rate_limited(self, after: Duration, *, limit: str = "") -> Never:
        """Raise `RateLimited`: the job's limits rest for so long."""
        raise RateLimited(after, limit=limit)

    def state(self, hook: Lifespan[T]) -> T:
        """What a lifespan hook yielded when this process began.

        Raises:
            UsageError: it is no such function, or not open here.
        """
        return self._run.state_of(hook)

    async def extend(self, duration: Duration) -> None:
        """Move this attempt's deadline to a duration from now.

        Raises:
            StaleAttempt: another attempt owns the job.
            UsageError: the duration cannot be, or the handler runs in a thread.
        """
        longer = parse_duration(duration, "duration")
        self._check_loop("extend")
        if not await self._engine.extend([self._delivery]):
            raise self._stale()
        self._run.prolong(longer)

    @asynccontextmanager
    async def transaction(self, session: object = None) -> AsyncIterator[Any]:
        """A connection whose writes commit together with the completion of this job.

        They commit when the handler returns and this attempt still owns the job. If it raises,
        returns `Retry`, `Snooze`, `Cancel` or `Dead`, or is stale, they are undone. A block that
        raises is undone by itself; several blocks share one commit.

        Args:
            session: an AsyncSession of SQLAlchemy to use instead; it is closed at the end.

        Raises:
            UsageError: another session than before, or none of SQLAlchemy, or the handler runs in a
                thread.
        """
        self._check_loop("transaction")
        transaction = await self._opened(session)
        if session is not None and session is not transaction.handle:
            raise UsageError("a handler commits in one transaction; use one session in all blocks")
        async with transaction.block():
            yield transaction.handle

    async def _opened(self, session: object) -> Transaction:
        """The one transaction of this attempt, also for blocks that begin at the same time."""
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self.over:
                raise UsageError(
                    f"ctx.transaction() of job {self.job_id} was called after its handler had "
                    "returned; wait in the handler for all that it starts"
                )
            if self._transaction is None:
                if self._stack is None:
                    self._stack = AsyncExitStack()
                self._transaction = await self._stack.enter_async_context(
                    self._engine.transaction(session)
                )
            return self._transaction

    @property
    def transacting(self) -> bool:
        """Whether the handler opened a transaction, so that `commit` or `close` must end it."""
        return self._opening is not None

    async def commit(self, worker: UUID, settlement: Settlement) -> bool:
        """Settle in the handler's transaction; False where it opened none."""
        await self._opened_all()
        if self._transaction is None or self._stack is None:
            return False
        async with self._stack:
            if not await self._transaction.commit(worker, settlement):
                raise self._stale()
        self._transaction = None
        return True

    async def close(self) -> None:
        """Undo what was written in a transaction that was not committed."""
        await self._opened_all()
        self._transaction = None
        if self._stack is not None:
            await self._stack.aclose()

    async def _opened_all(self) -> None:
        """Something that the handler started may be opening its transaction this moment."""
        if self._opening is not None:
            async with self._opening:
                pass

    def _check_loop(self, verb: str) -> None:
        if asyncio.get_running_loop() is not self._loop:
            raise UsageError(
                f"ctx.{verb}() works in the event loop of the worker, and the handler of task "
                f'"{self.task}" runs in a thread with another one; write the task as `async def`'
            )

    def _stale(self) -> StaleAttempt:
        return StaleAttempt(
            f"attempt {self.attempt} of job {self.job_id} is stale: another attempt owns the job; "
            "what this one wrote in its transaction is undone"
        )
