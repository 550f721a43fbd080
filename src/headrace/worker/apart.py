"""A coroutine awaited in another context than that of its task."""

import contextvars
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Apart(Generic[T]):
    """Awaits something in the same task, but in another context.

    What a handler sets there (a tenant, a trace, a bound log field) is there when what it wrote is
    committed, and does not reach the next job of its slot. A task of its own for each handler would
    do that, too, at several times the cost.
    """

    def __init__(self, awaitable: Awaitable[T], context: contextvars.Context) -> None:
        self._awaitable = awaitable
        self._run = context.run

    def __await__(self) -> Generator[Any, Any, T]:
        """Go on with it, step by step."""
        run = self._run
        steps = self._awaitable.__await__()
        step: Callable[[Any], Any] = steps.send
        given: Any = None
        while True:
            try:
                awaited = run(step, given)
            except StopIteration as over:
                result: T = over.value
                return result
            try:
                given, step = (yield awaited), steps.send
            except BaseException as exc:  # noqa: BLE001 - handed on to what is awaited
                given, step = exc, steps.throw
