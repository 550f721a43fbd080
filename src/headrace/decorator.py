"""`@app.task(...)`: makes tasks of functions."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from headrace.batch_task import BatchTask
from headrace.context import Context
from headrace.errors import UsageError
from headrace.model.shown import shown
from headrace.options import BatchOptions, TaskOptions
from headrace.task import AsyncTask, Enqueuer, SyncTask, Task

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")


class TaskDecorator:
    """Makes tasks of functions; `register` gets each."""

    def __init__(
        self, app: Enqueuer, options: TaskOptions, register: Callable[[Task[..., Any]], None]
    ) -> None:
        self._app = app
        self._options = options
        self._register = register

    # The first overload that fits wins: a coroutine function is never taken for a plain one.
    @overload
    def __call__(  # type: ignore[overload-overlap] # as said above
        self, fn: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]]
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap] # as said above
        self, fn: Callable[P, Coroutine[Any, Any, R]]
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[Context, P], R]) -> SyncTask[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R]) -> SyncTask[P, R]: ...
    def __call__(self, fn: Callable[..., Any]) -> Task[..., Any]:
        """Make a task of a function.

        Raises:
            UsageError: it is no function, or its options or signature were refused.
        """
        if not inspect.isfunction(fn) or _yields(fn):
            raise UsageError(f"@app.task() needs a function that returns once, not {fn!r}")
        kind: type[Task[..., Any]] = AsyncTask if inspect.iscoroutinefunction(fn) else SyncTask
        task = kind(self._app, fn, self._options)
        self._register(task)
        return task


class BatchDecorator:
    """Makes tasks of functions that take many jobs in one call; `register` gets each."""

    def __init__(
        self, app: Enqueuer, options: BatchOptions, register: Callable[[Task[..., Any]], None]
    ) -> None:
        self._app = app
        self._options = options
        self._register = register

    @overload
    def __call__(
        self, fn: Callable[[list[A]], Coroutine[Any, Any, None]]
    ) -> BatchTask[[A], None]: ...
    @overload
    def __call__(
        self, fn: Callable[[list[Context], list[A]], Coroutine[Any, Any, None]]
    ) -> BatchTask[[A], None]: ...
    @overload
    def __call__(
        self, fn: Callable[[list[A]], Coroutine[Any, Any, list[R]]]
    ) -> BatchTask[[A], R]: ...
    @overload
    def __call__(
        self, fn: Callable[[list[Context], list[A]], Coroutine[Any, Any, list[R]]]
    ) -> BatchTask[[A], R]: ...
    def __call__(self, fn: Callable[..., Any]) -> BatchTask[..., Any]:
        """Make a task of a function.

        Raises:
            UsageError: it is no coroutine function, or its options or signature were refused.
        """
        if not inspect.iscoroutinefunction(fn):
            raise UsageError(
                f"@app.task(batch=...) needs an `async def` function, not {shown(fn)}; run code "
                "that blocks by asyncio.to_thread"
            )
        task: BatchTask[..., Any] = BatchTask(self._app, fn, self._options)
        self._register(task)
        return task


def _yields(fn: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn)
