"""What one run is provided with, and the cleaning up after it."""

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

from headrace.context import Context
from headrace.dependencies import Dependency, Provider


class Opened:
    """What one run has been provided with; `with` and `async with` clean up, in reverse.

    Cleaning up never swallows what the handler raised; what it raises itself takes its place.

    Args:
        ctx: of the run.
        values: what is provided already, by provider.
    """

    def __init__(self, ctx: Context, values: dict[Provider, Any]) -> None:
        self._ctx = ctx
        self.values = values
        self._open: list[Any] = []

    def take(self, one: Dependency) -> None:
        """Provide what needs no event loop."""
        if one.of_process:
            made = self._ctx.state(one.key)
        else:
            made = one.provider(**one.arguments(self._ctx, self.values))
        if one.opens:
            manager = made
            made = manager.__enter__()
            self._open.append(manager)
        self.values[one.key] = made

    async def take_in_loop(self, one: Dependency) -> None:
        """Provide anything."""
        if not one.is_async:
            self.take(one)
        elif one.opens:
            manager = one.provider(**one.arguments(self._ctx, self.values))
            self.values[one.key] = await manager.__aenter__()
            self._open.append(manager)
        else:
            self.values[one.key] = await one.provider(**one.arguments(self._ctx, self.values))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        now = exc
        while self._open:
            now = _closed(self._open.pop(), now)
        if now is not None and now is not exc:
            raise now

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        now = exc
        while self._open:
            manager = self._open.pop()
            if isinstance(manager, AbstractAsyncContextManager):
                now = await _closed_async(manager, now)
            else:
                now = _closed(manager, now)
        if now is not None and now is not exc:
            raise now


def _closed(manager: Any, exc: BaseException | None) -> BaseException | None:  # noqa: ANN401 - a context manager
    try:
        manager.__exit__(*_raised(exc))
    except BaseException as raised:  # noqa: BLE001 - it takes the place of the handler's
        return raised
    return exc


async def _closed_async(
    manager: AbstractAsyncContextManager[Any], exc: BaseException | None
) -> BaseException | None:
    try:
        await manager.__aexit__(*_raised(exc))
    except BaseException as raised:  # noqa: BLE001 - as above
        return raised
    return exc


def _raised(
    exc: BaseException | None,
) -> tuple[type[BaseException] | None, BaseException | None, TracebackType | None]:
    return (None, None, None) if exc is None else (type(exc), exc, exc.__traceback__)
