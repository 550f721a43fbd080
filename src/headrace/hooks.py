"""What an application hangs on the runs of its jobs: middleware, error hooks, lifespans."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from headrace.context import Context, Lifespan
from headrace.errors import UsageError
from headrace.lifespans import Lifespans
from headrace.middleware import Middleware, read_middleware
from headrace.model.shown import shown

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
E = TypeVar("E", bound="ErrorHook")
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
        try:
            inspect.signature(hook).bind(None, None)
        except (TypeError, ValueError):
            raise UsageError(
                f"{shown(hook)} cannot be told of an error; write `async def hook(ctx, exc)`"
            ) from None
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
