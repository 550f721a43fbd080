"""What stands around a task's function in a run: middleware, and what it depends on.

Compiled when the task is registered; a task without both is called plainly.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from headrace.context import Context
from headrace.dependencies import Dependencies
from headrace.errors import UsageError
from headrace.middleware import Layer
from headrace.provision import Opened

T = TypeVar("T")
Call = Callable[[Context, Mapping[str, Any]], Any]
"""Calls the task's function: a coroutine where that is async, else its value."""

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls something in the thread of the run, and waits for it."""

_NOTHING = Dependencies({}, (), ())


class Surroundings:
    """A function's surroundings.

    Middleware is entered in the order of its registration, `async def` before `def`; what the
    function depends on is provided innermost.

    Args:
        call: the task's function.
        layers: the middleware; that which is `def` is for a function that runs in a thread.
        dependencies: of the function.
        in_thread: the function runs in a thread.
    """

    def __init__(
        self,
        call: Call,
        layers: Sequence[Layer],
        dependencies: Dependencies | None,
        *,
        in_thread: bool,
    ) -> None:
        self._call = call
        inward = list(reversed(layers))
        self._async_layers = tuple(one.call for one in inward if one.is_async)
        self._sync_layers = tuple(one.call for one in inward if not one.is_async)
        self._dependencies = dependencies or _NOTHING
        self.in_loop: bool = not in_thread or bool(self._async_layers or self._dependencies.in_loop)

    async def run(self, ctx: Context, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - what the function returns
        """Run an async function in the midst of all."""
        call_next: Callable[[], Any] = partial(
            provided, self._call, self._dependencies, ctx, arguments
        )
        for layer in self._async_layers:
            call_next = partial(layer, ctx, call_next)
        return await call_next()

    async def run_around(
        self, ctx: Context, arguments: Mapping[str, Any], in_thread: InThread
    ) -> Any:  # noqa: ANN401 - as above
        """Run a function of a thread, with what is around it in the event loop."""

        async def inmost() -> Any:  # noqa: ANN401 - as above
            async with Opened(ctx, {}) as opened:
                for one in self._dependencies.in_loop:
                    await opened.take_in_loop(one)
                return await in_thread(partial(self._in_thread, ctx, arguments, opened.values))

        call_next: Callable[[], Any] = inmost
        for layer in self._async_layers:
            call_next = partial(layer, ctx, call_next)
        return await call_next()

    def run_in_thread(self, ctx: Context, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
        """Run a function of a thread where nothing around it needs the event loop."""
        return self._in_thread(ctx, arguments, {})

    def _in_thread(self, ctx: Context, arguments: Mapping[str, Any], values: dict[Any, Any]) -> Any:  # noqa: ANN401 - as above
        call_next: Callable[[], Any] = partial(
            _provided_in_thread, self._call, self._dependencies, ctx, arguments, values
        )
        for layer in self._sync_layers:
            call_next = partial(layer, ctx, call_next)
        return call_next()


async def provided(
    call: Call, dependencies: Dependencies, ctx: Context, arguments: Mapping[str, Any]
) -> Any:  # noqa: ANN401 - what the function returns
    """Call an async function with what it depends on."""
    async with Opened(ctx, {}) as opened:
        for one in dependencies.in_loop:
            await opened.take_in_loop(one)
        return await call(ctx, dependencies.fill(arguments, opened.values))


def _provided_in_thread(
    call: Call,
    dependencies: Dependencies,
    ctx: Context,
    arguments: Mapping[str, Any],
    values: dict[Any, Any],
) -> Any:  # noqa: ANN401 - as above
    """Call a function with what it depends on, some of which is there."""
    with Opened(ctx, dict(values)) as opened:
        for one in dependencies.beside:
            opened.take(one)
        return call(ctx, dependencies.fill(arguments, opened.values))


def call_plainly(
    call: "partial[Any]", dependencies: Dependencies, ctx: Context, arguments: Mapping[str, Any]
) -> Any:  # noqa: ANN401 - as above
    """Call a function here and now, with what it depends on and was not given.

    Raises:
        UsageError: the event loop is needed, and the function is none of a loop.
    """
    open_yet = inspect.signature(call).parameters.keys() - arguments.keys()
    left = dependencies.only(open_yet)

    def go_on(_: Context, filled: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
        return call(**filled)

    if inspect.iscoroutinefunction(call.func):
        return provided(go_on, left, ctx, arguments)
    if left.in_loop:
        missing = next(name for name, one in left.by_parameter.items() if left.takes_loop(one))
        raise UsageError(
            f"a plain call of {call.func.__qualname__} has no event loop for what it depends on; "
            f"give it: {missing}=..."
        )
    return _provided_in_thread(go_on, left, ctx, arguments, {})
