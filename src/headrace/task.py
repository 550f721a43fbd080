"""Tasks: registered functions that run as jobs, or at once when called plainly."""

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import (
    Any,
    Generic,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    cast,
    overload,
)

import msgspec

from headrace.context import Context, Lifespan, LocalContext
from headrace.dependencies import Dependencies, read_dependencies
from headrace.errors import BadPayload, UsageError
from headrace.handle import JobHandle
from headrace.middleware import Layer, Middleware, layers_for
from headrace.model.concurrency import ConcurrencyLimit
from headrace.model.key_template import fields_of
from headrace.model.rate import RateLimit
from headrace.model.retry import RetryPolicy
from headrace.model.task import Declaration
from headrace.model.text import check_text
from headrace.model.unique import Unique
from headrace.options import (
    JobOptions,
    JobSettings,
    TaskOptions,
    read_job_options,
    read_task_options,
)
from headrace.payload import MAX_RESULT, encode
from headrace.signature import Signature, read_signature
from headrace.surroundings import Call, InThread, Surroundings, call_plainly

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class JobSpec(msgspec.Struct, Generic[R], frozen=True):
    """A job that `Headrace.enqueue_many` takes; made by `Task.job`.

    Attributes:
        task: of which it is.
        payload: its arguments, as a JSON object.
        settings: what is decided of it besides.
    """

    task: "Task[..., R]"
    payload: bytes
    settings: JobSettings


class Enqueuer(Protocol):
    """What a task needs of its application."""

    @property
    def max_payload(self) -> int:
        """Bytes that the arguments of a job may take."""

    @property
    def middlewares(self) -> Sequence[Middleware]:
        """What stands around the runs of its tasks, the outermost first."""

    @property
    def lifespans(self) -> Sequence[Lifespan[Any]]:
        """Its lifespan hooks."""

    def state_of(self, hook: Lifespan[T]) -> T:
        """What a lifespan hook yielded."""
        ...

    async def enqueue_many(
        self, jobs: Sequence[JobSpec[R]], *, tx: object = None
    ) -> list[JobHandle[R]]:
        """Insert jobs, all or none."""

    def call_sync(self, make: Callable[[], Coroutine[Any, Any, T]], instead: str) -> T:
        """Run a coroutine in the portal's event loop."""


class Task(Generic[P, R]):
    """A registered function with its options; made by `@app.task(...)`.

    Attributes:
        name: how the ledger knows it.
        fn: the function.
        is_async: the function is a coroutine function.
        wants_context: it takes a `Context` first.
        queue: where its jobs go.
        priority: 1 (runs first) to 10.
        max_attempts: runs in all.
        timeout: of one run; `timeout_seconds` is the same.
        soft_timeout: when a run is warned of it; None: it is not. `soft_seconds` is the same, or
            the timeout.
        retry: when a failed job runs again.
        in_process: its jobs run in processes of their own.
        limits: how often its jobs may start.
        concurrency: how many of them may run at once.
        defaults: of its parameters, by name.
        importable: another process can find it.
        batch: how many jobs a call takes at most: 1, but for batch tasks.
        in_loop: a run of it is awaited in the event loop.
        call: calls the function with a context and arguments, in the midst of what surrounds it: a
            coroutine where the task is async, else its value.
        call_around: the same for a plain function around which something needs the event loop.
    """

    batch: int = 1

    def __init__(self, app: Enqueuer, fn: Callable[..., Any], options: TaskOptions) -> None:
        settings = read_task_options(options, fn.__name__)
        self._app = app
        self._settings = settings.job
        self._signature = self._read_signature(fn, settings.name)
        self._check_unique(settings.job.unique)
        self.name: str = settings.name
        self.fn = fn
        self.is_async: bool = inspect.iscoroutinefunction(fn)
        self.wants_context: bool = self._signature.wants_context
        self.queue: str = settings.job.queue
        self.priority: int = settings.job.priority
        self.max_attempts: int = settings.job.max_attempts
        self.timeout: timedelta = settings.timeout
        self.timeout_seconds: float = settings.timeout.total_seconds()
        self.soft_timeout: timedelta | None = settings.soft_timeout
        self.soft_seconds: float = (settings.soft_timeout or settings.timeout).total_seconds()
        self.retry: RetryPolicy = settings.retry
        self.in_process: bool = settings.in_process
        self.limits: tuple[RateLimit, ...] = settings.limits
        self.concurrency: tuple[ConcurrencyLimit, ...] = settings.concurrency
        self.defaults: Mapping[str, object] = self._signature.defaults
        self._check_keys()
        self.importable: bool = "<locals>" not in fn.__qualname__ and fn.__module__ != "__main__"
        if self.in_process and not self.importable:
            raise UsageError(
                f'task "{self.name}" is defined inside of a function or in a script, where another '
                "process cannot find it; define it at the top level of a module, or leave out "
                "executor="
            )
        self._dependencies: Dependencies | None = read_dependencies(
            self._signature.injected, self.name, app.lifespans, is_async=self.is_async
        )
        self.in_loop: bool = self.is_async
        self.call: Call = self._call
        self.call_around: Callable[[Context, Mapping[str, Any], InThread], Any] | None = None
        layers = layers_for(settings.middleware, app.middlewares, self.name)
        if layers or self._dependencies is not None:  # else nothing is paid for either
            self._surround(layers)
        self.__name__: str = fn.__name__
        self.__doc__ = fn.__doc__

    def __repr__(self) -> str:
        return f'<task "{self.name}" on queue "{self.queue}">'

    @overload
    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]: ...
    @overload
    async def enqueue(self, *args: object, tx: object, **kwargs: object) -> JobHandle[R]: ...
    async def enqueue(self, *args: object, tx: object = None, **kwargs: object) -> JobHandle[R]:
        """Insert a job: durable when it returns, or with the caller's transaction `tx`.

        Type checkers check the arguments of plain calls; those beside `tx=` are checked when the
        call is made. `options(tx=...).enqueue(...)` is checked by both.

        Args:
            args: the task's arguments.
            tx: the transaction to insert in, an open one: a connection of asyncpg or psycopg, or an
                AsyncSession, Session or connection of SQLAlchemy.
            kwargs: the task's arguments by name.

        Raises:
            UsageError: the call was refused; nothing was inserted. BadArguments, BadPayload and
                UnknownQueue say why.
            LedgerUnavailable: the ledger is away; nothing was inserted.
            OutcomeUnknown: the ledger went away meanwhile; the job may be there.
        """
        spec = self._job(self._settings, args, kwargs)
        return (await self._app.enqueue_many((spec,), tx=tx))[0]

    @overload
    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]: ...
    @overload
    def enqueue_sync(self, *args: object, tx: object, **kwargs: object) -> JobHandle[R]: ...
    def enqueue_sync(self, *args: object, tx: object = None, **kwargs: object) -> JobHandle[R]:
        """As `enqueue`, where no event loop runs; see `Headrace.enqueue_many_sync`.

        As `tx` it takes what is not async: a connection of psycopg, Django or SQLAlchemy, or a
        Session.

        Raises:
            UsageError: an event loop runs in this thread, or the call was refused.
            LedgerUnavailable, OutcomeUnknown: as `enqueue`.
        """
        return self._insert_sync(self._job(self._settings, args, kwargs), tx)

    def _insert_sync(self, spec: JobSpec[R], tx: object) -> JobHandle[R]:
        insert = partial(self._app.enqueue_many, (spec,), tx=tx)
        return self._app.call_sync(insert, f"await {self.__name__}.enqueue(...)")[0]

    def job(self, *args: P.args, **kwargs: P.kwargs) -> JobSpec[R]:
        """A job for `Headrace.enqueue_many`; nothing is inserted yet.

        Raises:
            BadArguments: they do not fit the signature.
            BadPayload: they cannot be stored.
        """
        return self._job(self._settings, args, kwargs)

    def options(self, **options: Unpack[JobOptions]) -> "BoundTask[P, R]":
        """This task with options for single jobs; may be kept and used for many.

        Args:
            options: as in `JobOptions`.

        Raises:
            UsageError: an option is unknown or has a value that cannot be.
        """
        settings = read_job_options(options, self._settings)
        self._check_unique(settings.unique)
        return BoundTask(self, settings, options.get("tx"))

    @property
    def sole_argument(self) -> str | None:
        """The name of the argument that can be its only one; None if there is none."""
        return self._signature.sole

    def declaration(self) -> Declaration:
        """What the ledger keeps of this task."""
        return Declaration(
            name=self.name,
            queue=self.queue,
            priority=self.priority,
            max_attempts=self.max_attempts,
            rerun_on_crash=self._settings.rerun_on_crash,
        )

    def decode(self, payload: bytes) -> dict[str, Any]:
        """Arguments by name, as the function takes them.

        Raises:
            BadArguments: the payload does not fit the signature.
        """
        return self._signature.decode(payload)

    def state_of(self, hook: Lifespan[T]) -> T:
        """What a lifespan hook of its application yielded in this process.

        Raises:
            UsageError: it is not open here.
        """
        return self._app.state_of(hook)

    def depends_on(self, hook: Lifespan[Any]) -> bool:
        """Whether it was registered with this among what its runs provide."""
        return self._dependencies is not None and self._dependencies.include(hook)

    def _read_signature(self, fn: Callable[..., Any], name: str) -> Signature:
        return read_signature(fn, name)

    def _surround(self, layers: Sequence[Layer]) -> None:
        around = Surroundings(self._call, layers, self._dependencies, in_thread=not self.is_async)
        self.in_loop = around.in_loop
        self.call = around.run if self.is_async else around.run_in_thread
        if self.in_loop and not self.is_async:
            self.call_around = around.run_around

    def _call(self, ctx: Context, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - what fn returns
        args: Sequence[Any] = ()
        if self._signature.positional_only:
            args, arguments = self._signature.arrange(arguments)
        return (
            self.fn(ctx, *args, **arguments) if self.wants_context else self.fn(*args, **arguments)
        )

    def encode_result(self, value: object) -> str:
        """A result as JSON.

        Raises:
            BadPayload: it cannot be stored.
        """
        if value is None:
            return "null"
        try:
            return encode(value, MAX_RESULT).decode()
        except BadPayload as exc:
            raise BadPayload(f'task "{self.name}": the result {exc}') from exc

    def decode_result(self, result: bytes) -> R:
        """A stored result as the return annotation says; as plain JSON where it does not fit."""
        return cast("R", self._signature.decode_result(result))

    def _check_keys(self) -> None:
        limits: tuple[RateLimit | ConcurrencyLimit, ...] = (*self.limits, *self.concurrency)
        for limit in limits:
            for field in sorted(limit.fields - self._signature.names):
                raise UsageError(
                    f'task "{self.name}" has no argument "{field}", which the key of limit '
                    f'"{limit.name}" names: {limit.key}'
                )
        template = self._settings.order_template
        for field in sorted(fields_of(template) - self._signature.names):
            raise UsageError(
                f'task "{self.name}" has no argument "{field}", which its order_key names: '
                f"{template}"
            )

    def _job(
        self, settings: JobSettings, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> JobSpec[R]:
        arguments = self._signature.bind(args, kwargs)
        if settings.unique is not None and settings.unique.key is None:
            # What is left out is the same as its default.
            arguments = self._signature.with_defaults(arguments, settings.unique.by)
        if settings.order_template is not None:
            known = self._signature.with_defaults(arguments, None)
            key = settings.order_template.format_map(known)
            settings = replace(settings, order_key=check_text("order_key", key, least=1))
        payload = self._signature.encode(arguments, self._app.max_payload)
        return JobSpec(self, payload, settings)

    def _check_unique(self, unique: Unique | None) -> None:
        if unique is not None and unique.by is not None:
            self._signature.check_names(unique.by)

    def _run(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Any:  # noqa: ANN401 - what fn returns
        """A plain call: here and now, with the arguments as they are."""
        if self._dependencies is None and not self.wants_context:
            return self.fn(*args, **kwargs)
        ctx = LocalContext(self.name, self.queue, self.max_attempts, self._app.state_of)
        call = partial(self.fn, ctx, *args) if self.wants_context else partial(self.fn, *args)
        if self._dependencies is None:
            return call(**kwargs)
        return call_plainly(call, self._dependencies, ctx, kwargs)


class AsyncTask(Task[P, R]):
    """A task whose function is a coroutine function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Run the function here; its context is made up, so leave it out."""
        return cast("Coroutine[Any, Any, R]", self._run(args, kwargs))


class SyncTask(Task[P, R]):
    """A task whose function is a plain function; workers run it in a thread."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here; its context is made up, so leave it out."""
        return cast("R", self._run(args, kwargs))


class BoundTask(Generic[P, R]):
    """A task with options for single jobs; made by `Task.options`."""

    def __init__(self, task: Task[P, R], settings: JobSettings, tx: object) -> None:
        self._task = task
        self._settings = settings
        self._tx = tx

    @overload
    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]: ...
    @overload
    async def enqueue(self, *args: object, tx: object, **kwargs: object) -> JobHandle[R]: ...
    async def enqueue(self, *args: object, tx: object = None, **kwargs: object) -> JobHandle[R]:
        """Insert a job with these options; else as `Task.enqueue`."""
        spec = self._task._job(self._settings, args, kwargs)  # noqa: SLF001 - a view of the task
        return (await self._task._app.enqueue_many((spec,), tx=self._tx if tx is None else tx))[0]  # noqa: SLF001

    @overload
    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]: ...
    @overload
    def enqueue_sync(self, *args: object, tx: object, **kwargs: object) -> JobHandle[R]: ...
    def enqueue_sync(self, *args: object, tx: object = None, **kwargs: object) -> JobHandle[R]:
        """Insert a job with these options; else as `Task.enqueue_sync`."""
        spec = self._task._job(self._settings, args, kwargs)  # noqa: SLF001 - a view of the task
        return self._task._insert_sync(spec, self._tx if tx is None else tx)  # noqa: SLF001 - as above

    def job(self, *args: P.args, **kwargs: P.kwargs) -> JobSpec[R]:
        """A job with these options, for `Headrace.enqueue_many`.

        Raises:
            UsageError: the arguments were refused, or `tx` is among the options.
        """
        if self._tx is not None:
            raise UsageError("job() takes no tx; give it to enqueue_many(jobs, tx=...)")
        return self._task._job(self._settings, args, kwargs)  # noqa: SLF001 - a view of the task
