"""The application: its tasks, its settings, and its connection in each event loop."""

import asyncio
from collections.abc import (
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from contextvars import copy_context
from functools import cached_property
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Never, Self, TypeVar, Unpack, cast, overload
from uuid import UUID

import msgspec

from headrace.cache.cache import Cache
from headrace.declared import Declared
from headrace.decorator import BatchDecorator, TaskDecorator
from headrace.errors import UsageError
from headrace.events import Events, events_of
from headrace.flow import Flow, FlowHandle
from headrace.handle import JobHandle
from headrace.hooks import EnqueueNext, Hooks, Sender
from headrace.intake import as_id, as_ids, first_state, new_jobs
from headrace.model.concurrency import ConcurrencyLimit
from headrace.model.duration import Duration
from headrace.model.fair_share import FairShare
from headrace.model.job import Inserted, Job, NewJob
from headrace.model.names import check_name
from headrace.model.rate import RateLimit
from headrace.model.timing_options import TimingOptions, read_timing
from headrace.options import BatchOptions, TaskOptions, refuse_unknown
from headrace.ports.cache import CacheStore
from headrace.ports.engine import Engine
from headrace.readers import Readers
from headrace.results import Results
from headrace.schedules import Schedules
from headrace.setting_names import SettingsArguments, check_names
from headrace.started import Starts
from headrace.streams import Streams
from headrace.task import JobSpec, Task
from headrace.topics import Topic, Topics

if TYPE_CHECKING:
    from headrace.config import Settings

R = TypeVar("R")
T = TypeVar("T")
E = TypeVar("E")


class Headrace(Hooks):
    """An application: `Headrace("mailroom")`, then `@app.task()` and `async with app:`.

    Args:
        name: of the application.
        middleware: as with `middleware`, the outermost first.
        settings: as in `headrace.config.Settings`; what is not given is read from the
            environment (HEADRACE_*), headrace.toml and pyproject.toml when it is first needed.

    Raises:
        UsageError: the name or a middleware is refused.
        ConfigError: a setting is unknown.
    """

    def __init__(
        self,
        name: str,
        *,
        middleware: Iterable[Callable[..., Any]] = (),
        **settings: Unpack[SettingsArguments],
    ) -> None:
        super().__init__(middleware)
        check_names(settings)
        self.name: str = check_name("application", name)
        self._arguments = settings
        self._declared = Declared()
        self.schedules: Schedules = Schedules(self)
        self._topics = Topics(self)
        self.streams: Streams = Streams(self)
        self._starts = Starts(self.name, self._connect, self._declare, self._open_cache)

    @cached_property
    def settings(self) -> "Settings":
        """The settings, read at the first use.

        Raises:
            ConfigError: one is unknown or has a value that cannot be.
        """
        from headrace.config import read_settings  # noqa: PLC0415 - long to import

        return read_settings(self._arguments)

    @property
    def max_payload(self) -> int:
        """Bytes that the arguments of a job may take."""
        return self.settings.max_payload if "settings" in self.__dict__ else self._max_payload

    @cached_property
    def _max_payload(self) -> int:
        """As long as nothing else was asked: modules that make jobs may come before settings do."""
        from headrace.config import read_settings  # noqa: PLC0415 - as above

        return read_settings(self._arguments).max_payload

    @property
    def tasks(self) -> Mapping[str, Task[..., Any]]:
        """The tasks by name."""
        return MappingProxyType(self._declared.tasks)

    @property
    def queues(self) -> frozenset[str]:
        """The queues that tasks or the application itself declare."""
        said = self._declared
        return frozenset(said.queues) | {task.queue for task in said.tasks.values()}

    @overload
    def task(
        self, *, batch: int, batch_wait: Duration = "50ms", **options: Unpack[TaskOptions]
    ) -> BatchDecorator: ...
    @overload
    def task(self, *misplaced: Never, **options: Unpack[TaskOptions]) -> TaskDecorator: ...
    def task(self, *misplaced: Never, **options: Any) -> TaskDecorator | BatchDecorator:
        """Register a function as a task: `@app.task(queue="emails")`.

        The function's first parameter may be a `Context`, by its annotation; the others are the
        job's arguments, stored as JSON and checked against their annotations.

        Args:
            misplaced: nothing; what `@app.task` without its parentheses would give.
            options: as in `TaskOptions`; with `batch`, which has `batch_wait` beside it, the
                function takes a list of what its jobs take, and may return a list of what they
                return (`BatchOptions`).

        Raises:
            UsageError: an option, the name or the signature was refused.
        """
        if misplaced:
            raise UsageError(
                "app.task makes a decorator and takes options by name; "
                'write @app.task() or @app.task(queue="emails") above the function'
            )
        if "batch" in options:
            return BatchDecorator(self, cast("BatchOptions", options), self._declared.add_task)
        return TaskDecorator(self, cast("TaskOptions", options), self._declared.add_task)

    @property
    def queue_limits(self) -> Mapping[str, tuple[RateLimit, ...]]:
        """How often jobs of queues may start, where that is limited."""
        return MappingProxyType(self._declared.queue_limits)

    def queue(
        self,
        name: str,
        *,
        promise: str | None = None,
        limits: Sequence[RateLimit | ConcurrencyLimit] = (),
        max_depth: int | None = None,
        fair_by: str | None = None,
        weights: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Declare a queue that is no task's own, for `options(queue=...)`, or more of one.

        Args:
            name: of the queue.
            promise: "standard", "strict" or "loss-tolerant" (docs/promises.md). What the database
                says of the queue must be the same, if it says anything.
            limits: how often its jobs may start, and how many may run at once: each a `RateLimit`
                or a `ConcurrencyLimit`.
            max_depth: how many jobs it may hold that are not over; more are refused (`QueueFull`).
                What an operator has set wins.
            fair_by: each part of its jobs gets a fair share of the starts, however many others
                have: "tenant", or a text with arguments of its tasks in it, such as "{org}".
            weights: of such parts, by key: one of weight 3 gets three times the starts.

        Raises:
            UsageError: the name is not allowed, the promise unknown or another one than before, a
                limit another one than elsewhere, or max_depth, a share or a weight cannot be.
        """
        if weights and fair_by is None:
            raise UsageError('weights are those of parts; give fair_by as well, such as "{org}"')
        self._declared.add_queue(name, promise, limits)
        if max_depth is not None:
            self._declared.bound_queue(name, max_depth)
        if fair_by is not None:
            self._declared.add_share(FairShare(name, fair_by, weights))

    @overload
    def schedule(self, name: str, /, **timing: Unpack[TimingOptions]) -> Callable[[T], T]: ...
    @overload
    def schedule(
        self, name: str, job: JobSpec[Any], /, **timing: Unpack[TimingOptions]
    ) -> None: ...
    def schedule(
        self, name: str, job: JobSpec[Any] | None = None, /, **timing: Unpack[TimingOptions]
    ) -> Callable[[T], T] | None:
        """Declare a schedule: `@app.schedule("nightly", cron="0 3 * * *")` above a task.

        Or with a job, for arguments and options: `app.schedule("hourly", task.job(1), every="1h")`.
        Each tick makes one job, however many processes declare it.

        Args:
            name: of the schedule, one among all applications of the database.
            job: what `task.job(...)` or `task.options(...).job(...)` makes.
            timing: as in `TimingOptions`.

        Raises:
            UsageError: the name is not allowed or taken, an option was refused, or the task needs
                arguments and no job says them.
        """
        check_name("schedule", name)
        refuse_unknown("option of a schedule", timing, TimingOptions.__annotations__)
        return self.schedules.declare(name, job, read_timing(timing, name))

    @overload
    def topic(self, name: str) -> Topic[Any]: ...
    @overload
    def topic(self, name: str, kind: type[E]) -> Topic[E]: ...
    def topic(self, name: str, kind: type[Any] | None = None) -> Topic[Any]:
        """What events are published to: `paid = app.topic("orders.paid", OrderPaid)`.

        Args:
            name: of the topic, the same for all applications of the database.
            kind: of its events; without it all that has a JSON form goes.

        Raises:
            UsageError: the name is not allowed.
        """
        return self._topics.topic(name, kind)

    def events(
        self,
        *,
        queue: str | None = None,
        task: Task[..., Any] | str | None = None,
        job: JobHandle[Any] | UUID | str | None = None,
    ) -> Events:
        """What happens to jobs from now on: `async for event in app.events(queue="emails"):`.

        It is told while somebody listens and kept nowhere: late or lost, never wrong.

        Args:
            queue: only to its jobs; to have little told, it is better than the others.
            task: only to its jobs, by name or as such.
            job: only to this one.

        Raises:
            UsageError: one of them is none.
        """
        return events_of(self, queue, task, job)

    async def start(self) -> None:
        """Connect in the running event loop and declare tasks and queues; may be nested.

        Raises:
            ConfigError: a setting is missing or wrong.
            LedgerUnavailable: PostgreSQL cannot be reached.
            SchemaError: the schema is missing, older than the code, or too new for it.
        """
        await self._starts.start()

    async def stop(self) -> None:
        """Disconnect; a nested start is only counted down.

        Who still waits for a result is told so by a UsageError.
        """
        await self._starts.stop()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop()

    @property
    def engine(self) -> Engine:
        """The engine of the running event loop.

        Raises:
            UsageError: the application is not started in this process and event loop.
        """
        return self._starts.here().engine

    @cached_property
    def cache(self) -> Cache:
        """Values that are kept for a while, on the server of the setting `cache_url`."""
        return Cache(self)

    @property
    def cache_store(self) -> CacheStore:
        """Who keeps the values of the cache in the running event loop.

        Raises:
            UsageError: the application is not started in this process and event loop.
            ConfigError: no cache is configured.
        """
        return self._starts.cache_store()

    @property
    def readers(self) -> Readers:
        """Who read streams in the running event loop.

        Raises:
            UsageError: the application is not started in this process and event loop.
        """
        return self._starts.here().readers

    @property
    def actor(self) -> str:
        """Who it is, as it is kept in the history of jobs that it cancels."""
        return f"app:{self.name}"

    @property
    def results(self) -> Results:
        """Who waits for results in the running event loop; a worker pokes it.

        Raises:
            UsageError: the application is not started in this process and event loop.
        """
        return self._starts.here().results

    async def declare(self) -> None:
        """Make known to the ledger what was registered since the start."""
        if self._starts.here().declared != self._declarable:
            await self._starts.declare(self._declarable)

    async def enqueue_many(
        self, jobs: Iterable[JobSpec[R]], *, tx: object = None
    ) -> list[JobHandle[R]]:
        """Insert jobs, all or none, in one round trip.

        Args:
            jobs: made by `task.job(...)`.
            tx: the transaction to insert in, an open one: a connection of asyncpg or psycopg, or an
                AsyncSession, Session or connection of SQLAlchemy.

        Returns:
            One handle a job, in order.

        Raises:
            UsageError: the call was refused; nothing was inserted.
            UnknownQueue: a queue that nothing declares, among the reasons to refuse it.
            LedgerUnavailable: the ledger is away; nothing was inserted.
            OutcomeUnknown: the ledger went away meanwhile; the jobs may be there.
        """
        return await self.put(lambda new_id: new_jobs(jobs, new_id), tx)

    async def put(
        self, make: Callable[[Callable[[], UUID]], list[NewJob]], tx: object
    ) -> list[JobHandle[Any]]:
        """Insert what is made with ids of the ledger's clock, all or none: all enqueue by it."""
        here = self._starts.here()
        if here.declared != self._declarable:
            await self._starts.declare(self._declarable)
        engine = here.engine
        jobs = make(engine.new_id)
        inserted = await (
            self._send(engine, jobs, tx) if self._senders else engine.insert(jobs, tx)
        )
        return [self._handle(job, one) for job, one in zip(jobs, inserted, strict=True)]

    async def _send(self, engine: Engine, jobs: list[NewJob], tx: object) -> list[Inserted]:
        async def insert(last: Sequence[NewJob]) -> list[Inserted]:
            return await engine.insert(last, tx)

        call_next: EnqueueNext = insert
        for sender in reversed(self._senders):
            call_next = _around(sender, call_next)
        return await call_next(jobs)

    def enqueue_many_sync(
        self, jobs: Iterable[JobSpec[R]], *, tx: object = None
    ) -> list[JobHandle[R]]:
        """As `enqueue_many`, where no event loop runs: all `..._sync` go through one thread.

        They start the application there if need be. A transaction that is not async, of psycopg or
        a Session of SQLAlchemy, is used on the thread of the caller alone.

        Raises:
            UsageError: an event loop runs in this thread, or the call was refused.
        """
        return self.call_sync(lambda: self.enqueue_many(jobs, tx=tx), "await app.enqueue_many(...)")

    def flow(self, name: str = "") -> Flow:
        """A graph of jobs that wait for each other, to be enqueued as one; empty yet.

        Args:
            name: by which people know it; need not be unique.

        Raises:
            UsageError: the name is no text of at most 500 characters.
        """
        return Flow(self, name)

    def flow_handle(self, flow_id: UUID | str) -> FlowHandle:
        """A flow that was enqueued, by its id: to look at it, cancel it, retry it.

        Raises:
            UsageError: the id is none.
        """
        return FlowHandle(self, as_id(flow_id), {})

    async def get(self, job_id: UUID | str) -> JobHandle[Any]:
        """A job by its id, refreshed: `handle.job` is all that is known of it.

        Raises:
            UsageError: the id is none, or the application is not started here.
            JobNotFound: there is no such job.
            LedgerUnavailable: PostgreSQL cannot be reached.
        """
        handle = JobHandle[Any](self, as_id(job_id))
        await handle.refresh()
        return handle

    def get_sync(self, job_id: UUID | str) -> JobHandle[Any]:
        """As `get`, where no event loop runs."""
        return self.call_sync(lambda: self.get(job_id), "await app.get(...)")

    async def get_many(self, ids: Iterable[UUID | str]) -> list[Job]:
        """Jobs as they are now, in no order; unknown ids are left out.

        Raises:
            UsageError: one of them is no id, or the application is not started here.
            LedgerUnavailable: PostgreSQL cannot be reached.
        """
        return await self.engine.get(as_ids(ids))

    def get_many_sync(self, ids: Iterable[UUID | str]) -> list[Job]:
        """As `get_many`, where no event loop runs."""
        return self.call_sync(lambda: self.get_many(ids), "await app.get_many(...)")

    def start_sync(self) -> None:
        """Connect where the `..._sync` verbs work; they do so by themselves at the first call.

        Raises:
            ConfigError, LedgerUnavailable, SchemaError: as `start`.
        """
        self.call_sync(_nothing, "async with app:")

    def stop_sync(self) -> None:
        """Disconnect there; the end of the process does it, too."""
        self._starts.stop_sync("await app.stop()")

    def call_sync(self, make: Callable[[], Coroutine[Any, Any, R]], instead: str) -> R:
        """Run a coroutine where the `..._sync` verbs work; `instead` is for where a loop runs."""
        if not self._senders:
            return self._starts.call_sync(make, instead)
        # What stands around an enqueue may go by context variables of the caller's.
        variables = copy_context()

        async def in_context() -> R:
            return await asyncio.get_running_loop().create_task(make(), context=variables)

        return self._starts.call_sync(in_context, instead)

    def decode_result(self, job: Job) -> Any:  # noqa: ANN401 - what the task returns
        """What a job's task returned; plain JSON where the task is not known here."""
        result = b"null" if job.result is None else bytes(job.result)
        task = self._declared.tasks.get(job.task)
        return msgspec.json.decode(result) if task is None else task.decode_result(result)

    @contextmanager
    def rehearsing(
        self,
        connect: Callable[[], Engine] | None = None,
        *,
        anywhere: bool = False,
        settings: "Settings | None" = None,
    ) -> Iterator[None]:
        """For a while, be another one: `headrace.testing` is built on it.

        Starts from before are left alone and valid again afterwards.

        Args:
            connect: makes its engines; without it they follow from the settings.
            anywhere: it counts as started in every event loop.
            settings: instead of those that it has.
        """
        had = self.__dict__.get("settings")
        if settings is not None:
            self.__dict__["settings"] = settings
        try:
            with self._starts.rehearsing(connect, anywhere=anywhere):
                yield
        finally:
            self.__dict__.pop("settings", None)
            if had is not None:
                self.__dict__["settings"] = had

    @property
    def _declarable(self) -> int:
        return len(self._declared) + len(self.schedules.declared) + len(self._topics.said)

    def _connect(self) -> Engine:
        from headrace.connect import connect  # noqa: PLC0415 - drivers, when they are needed

        return connect(self.settings)

    def _open_cache(self) -> CacheStore:
        from headrace.connect import open_cache  # noqa: PLC0415 - as above

        return open_cache(self.settings, self.name)

    async def _declare(self, engine: Engine) -> int:
        declared = self._declarable
        await self._declared.tell(engine)
        if said := self.schedules.declared:
            await engine.inspector.schedules.declare(self.name, said, self.actor)
        if self._topics.said:
            await engine.inspector.topics.declare(self.name, self._topics.said)
        return declared

    def _handle(self, job: NewJob, inserted: Inserted) -> JobHandle[Any]:
        return JobHandle(
            self,
            inserted.id,
            duplicate=inserted.duplicate,
            state=None if inserted.duplicate else first_state(job, inserted),
        )


def _around(sender: Sender, call_next: EnqueueNext) -> EnqueueNext:
    return lambda jobs: sender(jobs, call_next)


async def _nothing() -> None:
    pass
