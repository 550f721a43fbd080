"""Middleware: functions around the runs of all jobs, and the options that they understand."""

import inspect
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from headrace.errors import UsageError
from headrace.model.shown import shown
from headrace.options import refuse_unknown
from headrace.payload import decode_hook

Next = Callable[[], Awaitable[Any]]
"""What an `async def` middleware gets second: `await call_next()` goes on to the handler."""

SyncNext = Callable[[], Any]
"""What a `def` middleware gets second: `call_next()` goes on to the handler."""

_Kind = inspect.Parameter


class Layer(NamedTuple):
    """A middleware around one task: called with a context and the next."""

    call: Callable[..., Any]
    is_async: bool


class Middleware:
    """A function around runs: `async def` around all, `def` around those in threads, in there.

    Attributes:
        name: of the function.
        is_async: it is a coroutine function.
        options: the types of what tasks may tell it, by name.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        if not inspect.isfunction(fn) or inspect.isgeneratorfunction(fn) or _is_odd(fn):
            raise UsageError(
                f"{shown(fn)} is no middleware; write `async def name(ctx, call_next)`, with its "
                "options after a *"
            )
        self.fn = fn
        self.name: str = fn.__qualname__
        self.is_async: bool = inspect.iscoroutinefunction(fn)
        named = [
            one
            for one in inspect.signature(fn).parameters.values()
            if one.kind is _Kind.KEYWORD_ONLY
        ]
        hints = typing.get_type_hints(fn, include_extras=True) if named else {}
        self.options: dict[str, Any] = {one.name: hints.get(one.name, Any) for one in named}
        self._required = [one.name for one in named if one.default is _Kind.empty]

    def layer(self, options: Mapping[str, object], task: str) -> "Layer":
        """The function with what a task tells it.

        Raises:
            UsageError: an option is missing or does not fit.
        """
        for name in self._required:
            if name not in options:
                raise UsageError(
                    f'task "{task}" does not say "{name}", which the middleware {self.name} needs; '
                    f"write middleware={{{name!r}: ...}}"
                )
        ours = {name: options[name] for name in self.options if name in options}
        for name, value in ours.items():
            try:
                # Checked, not converted: a handler's own classes stay what they are.
                if not _fits(value, self.options[name]):
                    msgspec.convert(value, self.options[name], dec_hook=decode_hook)
            except TypeError:
                pass  # a type that says nothing which could be checked
            except msgspec.ValidationError as exc:
                raise UsageError(
                    f'task "{task}": middleware option {name}={shown(value)} does not fit '
                    f"{self.name}: {str(exc).replace('`', '')}"
                ) from exc
        return Layer(partial(self.fn, **ours) if ours else self.fn, self.is_async)


def read_middleware(
    fn: Callable[..., Any], before: Iterable[Middleware], tasks: Iterable[str]
) -> Middleware:
    """A middleware that is registered after others.

    Raises:
        UsageError: it is none, has an option of another one, or comes after tasks.
    """
    read = Middleware(fn)
    for task in tasks:
        raise UsageError(
            f'middleware {read.name} comes after task "{task}", which it would not wrap; '
            "register middleware before all tasks"
        )
    for one in before:
        for name in sorted(one.options.keys() & read.options.keys()):
            raise UsageError(
                f'the option "{name}" of middleware {read.name} is one of {one.name}, too; '
                "give it another name"
            )
    return read


def layers_for(
    told: Mapping[str, object], middlewares: Sequence[Middleware], task: str
) -> list[Layer]:
    """What stands around a task that tells these options, the outermost first.

    Raises:
        UsageError: no middleware understands an option, or one is missing or does not fit.
    """
    known = [name for one in middlewares for name in one.options]
    if told and not known:
        raise UsageError(
            f'task "{task}": "{next(iter(told))}" is no option of a middleware; none that is '
            "registered before the task has options"
        )
    refuse_unknown("option of a middleware", told, known)
    return [one.layer(told, task) for one in middlewares]


def _is_odd(fn: Callable[..., Any]) -> bool:
    """Whether it cannot be called with a context and the next."""
    if inspect.isasyncgenfunction(fn):
        return True
    by_place = (_Kind.POSITIONAL_ONLY, _Kind.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(fn).parameters.values()
    others = [one for one in parameters if one.kind is not _Kind.KEYWORD_ONLY]
    return len(others) != 2 or any(one.kind not in by_place for one in others)


def _fits(value: object, hint: object) -> bool:
    return isinstance(hint, type) and isinstance(value, hint)
