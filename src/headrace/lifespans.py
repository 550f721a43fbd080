"""What an application opens in each process that runs jobs, and what handlers get of it."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar, cast

from headrace.context import Lifespan
from headrace.errors import UsageError
from headrace.model.shown import shown

T = TypeVar("T")


class Lifespans:
    """The hooks of an application, and what they yielded here."""

    def __init__(self) -> None:
        self._openers: dict[Lifespan[Any], Callable[[], AbstractAsyncContextManager[object]]] = {}
        self._states: dict[Lifespan[Any], object] = {}

    @property
    def hooks(self) -> tuple[Lifespan[Any], ...]:
        """The hooks, in the order in which they are opened."""
        return tuple(self._openers)

    def register(self, hook: Lifespan[Any]) -> None:
        """Add one.

        Raises:
            UsageError: it is no async generator function.
        """
        if not inspect.isasyncgenfunction(hook):
            raise UsageError(
                f"@app.lifespan needs an `async def` function that yields once, not {hook!r}"
            )
        self._openers[hook] = asynccontextmanager(hook)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open them in order, close them in reverse."""
        async with AsyncExitStack() as stack:
            for hook, opener in self._openers.items():
                self._states[hook] = await stack.enter_async_context(opener())
                stack.callback(self._states.pop, hook, None)
            yield

    def state_of(self, hook: Lifespan[T]) -> T:
        """What one yielded.

        Raises:
            UsageError: it is no lifespan hook, or not open here.
        """
        if hook not in self._states:
            name = getattr(hook, "__qualname__", None) or shown(hook)
            raise UsageError(
                f"{name} is no lifespan hook of this application; put @app.lifespan above it"
                if hook not in self._openers
                else f"the lifespan hook {name} is open in workers alone; where a plain call needs "
                "it, write `async with app.living():` around that"
            )
        return cast("T", self._states[hook])
