"""What an application hangs on the runs of its jobs: middleware, error hooks, lifespans."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from headrace.context import Context, Lifespan
from headrace.errors import UsageError
from headrace.lifespans import Lifespans
from headrace.middleware import Middleware, read_middleware
from headrace.model.job import Inserted, NewJob
from headrace.model.shown import shown

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
E = TypeVar("E", bound="ErrorHook")
S = TypeVar("S", bound="Sender")
EnqueueNext = Callable[[Sequence[NewJob]], Awaitable[list[Inserted]]]
Sender = Callable[[Sequence[NewJob], EnqueueNext], Awaitable[list[Inserted]]]
"""`async def fn(jobs, call_next)`: stands around the inserting of jobs."""
ErrorHook = Callable[[Context, BaseException], object]
"""`def hook(ctx, exc)`, called in a thread, or `async def`, called in the event loop."""


class Dependent(Protocol):
    """What may depend on a lifespan hook: a task."""

    def depends_on(self, hook: Lifespan[Any]) -> bool:
        """Whether it does."""


class Hooks:
    """The part of an application that its decorators fill.

    Args:
        middleware: the outermost first.
    """

    def __init__(self, middleware: Iterable[Callable[..., Any]]) -> None:
        self._middlewares: list[Middleware] = []
        self._senders: list[Sender] = []
        self._error_hooks: list[ErrorHook] = []
        self._lifespans = Lifespans()
        for one in middleware:
            self._middlewares.append(read_middleware(one, self._middlewares, ()))

    @property
    def tasks(self) -> Mapping[str, Dependent]:
        """The tasks by name."""
        raise NotImplementedError

    @property
    def middlewares(self) -> Sequence[Middleware]:
        """What stands around all runs, the outermost first."""
        return tuple(self._middlewares)

    def middleware(self, fn: F) -> F:
        """Register a function that stands around the runs of all tasks; before the first of them.

        `async def fn(ctx, call_next, *, option=...)` stands around every run, in the event loop:
        `await call_next()` goes on. `def fn(ctx, call_next, ...)` stands around the runs of plain
        functions, in their thread. It returns what the handler returned, or something else, and may
        raise as a handler may. A task says what it tells it: `@app.task(middleware={"option": 1})`.

        Raises:
            UsageError: it is none, tasks are there already, or another one has such an option.
        """
        self._middlewares.append(read_middleware(fn, self._middlewares, self.tasks))
        return fn

    @property
    def senders(self) -> Sequence[Sender]:
        """What stands around enqueueing, the outermost first."""
        return tuple(self._senders)

    def around_enqueue(self, fn: S) -> S:
        """Register what stands around the inserting of jobs: `async def fn(jobs, call_next)`.

        `await call_next(jobs)` inserts them. It may give other values of the same jobs, with
        headers for instance, which a run finds in `ctx.headers`.

        Raises:
            UsageError: it is no coroutine function of two parameters.
        """
        fits = inspect.iscoroutinefunction(fn) and _takes(fn, 2)
        if not fits:
            raise UsageError(
                f"{shown(fn)} cannot stand around an enqueue; write `async def fn(jobs, call_next)`"
            )
        self._senders.append(fn)
        return fn

    @property
    def error_hooks(self) -> Sequence[ErrorHook]:
        """What is told of failed attempts."""
        return tuple(self._error_hooks)

    def on_error(self, hook: E) -> E:
        """Register what is told of each failed attempt: `def hook(ctx, exc)`, or `async def`.

        It is called beside the jobs, once the attempt is over: it delays nothing, and what it
        raises is logged. Outcomes that a handler returns or raises (`Retry`, `Dead`) are no errors.

        Raises:
            UsageError: it is no function of two parameters.
        """
        if not _takes(hook, 2):
            raise UsageError(
                f"{shown(hook)} cannot be told of an error; write `async def hook(ctx, exc)`"
            )
        self._error_hooks.append(hook)
        return hook

    @property
    def lifespans(self) -> Sequence[Lifespan[Any]]:
        """The lifespan hooks."""
        return self._lifespans.hooks

    def lifespan(self, hook: Callable[[], AsyncIterator[T]]) -> Callable[[], AsyncIterator[T]]:
        """Register what each worker process opens before its first job and closes after its last.

        The hook is an async generator function that yields once. What it yields is there for
        handlers: `ctx.state(hook)`, or `Annotated[T, Depends(hook)]`.

        Raises:
            UsageError: it is something else, or a task depends on it already.
        """
        for name, task in self.tasks.items():
            if task.depends_on(hook):
                raise UsageError(
                    f'task "{name}" depends on {hook.__qualname__}, which it would open for each '
                    "run; register the lifespan hook before the task"
                )
        self._lifespans.register(hook)
        return hook

    def state_of(self, hook: Callable[[], AsyncIterator[T]]) -> T:
        """What a lifespan hook yielded when this process began.

        Raises:
            UsageError: it is no lifespan hook, or not open here.
        """
        return self._lifespans.state_of(hook)

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Run the lifespan hooks around a worker's life: opened in order, closed in reverse."""
        async with self._lifespans.open():
            yield


def _takes(fn: object, arguments: int) -> bool:
    try:
        inspect.signature(fn).bind(*[None] * arguments)  # type: ignore[arg-type]  # what is none is refused
    except (TypeError, ValueError):
        return False
    return True
