"""What handlers depend on: `Annotated[T, Depends(f)]`, read once when a task is registered."""

import inspect
import typing
from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from headrace.context import Context, is_context_type
from headrace.errors import UsageError
from headrace.model.shown import shown

Provider = Callable[..., Any]
_Kind = inspect.Parameter


@dataclass(frozen=True, slots=True)
class Depends:
    """Marks a parameter that a run provides: `db: Annotated[Session, Depends(open_session)]`.

    It is no argument of the job. A function or a coroutine function returns the value; a generator
    or an async generator yields it once, and cleans up behind that `yield` when the handler has
    ended, whose exception is raised there. A lifespan hook stands for what it yielded when the
    process began. What provides may take a `Context`, and depend on more; it is called once a run.

    Args:
        provider: what to call.
    """

    provider: Provider


class Injected:
    """The class of `injected`."""

    __name__ = "injected"


injected: Any = Injected()
"""The default of a parameter that a run provides, for type checkers, which then let callers leave
it out: `db: Annotated[Session, Depends(open_session)] = injected`."""


@dataclass(frozen=True, slots=True, eq=False)
class Dependency:
    """Something to provide.

    Attributes:
        key: what the user named in `Depends`.
        provider: what to call: `key`, or what makes a context manager of it.
        is_async: it needs the event loop.
        opens: it yields, and is to be closed.
        of_process: it is a lifespan hook.
        takes_context: the names of its parameters for the context.
        needs: what it depends on, by its parameters.
    """

    key: Provider
    provider: Provider
    is_async: bool
    opens: bool
    of_process: bool
    takes_context: tuple[str, ...] = ()
    needs: tuple[tuple[str, "Dependency"], ...] = ()

    def arguments(self, ctx: Context, values: Mapping[Provider, Any]) -> dict[str, Any]:
        """What to call the provider with, once what it needs is there."""
        arguments: dict[str, Any] = dict.fromkeys(self.takes_context, ctx)
        arguments.update((name, values[one.key]) for name, one in self.needs)
        return arguments


@dataclass(frozen=True, slots=True, eq=False)
class Dependencies:
    """What a task's function depends on, in the order in which it is provided.

    Attributes:
        by_parameter: of the function.
        in_loop: what is provided in the event loop.
        beside: what is provided beside the function: in its thread, where that runs in one.
    """

    by_parameter: Mapping[str, Dependency]
    in_loop: tuple[Dependency, ...]
    beside: tuple[Dependency, ...]

    def fill(self, arguments: Mapping[str, Any], values: Mapping[Provider, Any]) -> dict[str, Any]:
        """The arguments of the function with what was provided; what was given stays."""
        provided = {name: values[one.key] for name, one in self.by_parameter.items()}
        return {**provided, **arguments}

    def include(self, provider: Provider) -> bool:
        """Whether it is among them."""
        return any(one.key is provider for one in (*self.in_loop, *self.beside))

    def only(self, parameters: Container[str]) -> "Dependencies":
        """What is to be provided for some of the parameters."""
        some = {name: one for name, one in self.by_parameter.items() if name in parameters}
        needed = _in_order(some.values())
        return Dependencies(
            some,
            tuple(one for one in self.in_loop if one in needed),
            tuple(one for one in self.beside if one in needed),
        )

    def takes_loop(self, one: Dependency) -> bool:
        """Whether something, or what it needs, is provided in the event loop."""
        return any(needed in self.in_loop for needed in _in_order([one]))


def marked(hint: object) -> Depends | None:
    """The `Depends` of an annotation, if it has one."""
    if typing.get_origin(hint) is not typing.Annotated:
        return None
    return next((one for one in typing.get_args(hint)[1:] if isinstance(one, Depends)), None)


def read_dependencies(
    marks: Mapping[str, Depends], task: str, hooks: Iterable[Provider], *, is_async: bool
) -> Dependencies | None:
    """Read what a function depends on, and what that depends on.

    Args:
        marks: by parameter.
        task: for errors.
        hooks: the lifespan hooks of the application.
        is_async: the function is a coroutine function, beside which everything is in the loop.

    Raises:
        UsageError: something cannot be provided.
    """
    if not marks:
        return None
    reader = _Reader(task, frozenset(hooks))
    by_parameter = {name: reader.read(mark.provider, ()) for name, mark in marks.items()}
    order = _in_order(by_parameter.values())
    in_loop = set(order) if is_async else _in_order(one for one in order if one.is_async)
    return Dependencies(
        by_parameter,
        tuple(one for one in order if one in in_loop),
        tuple(one for one in order if one not in in_loop),
    )


def _in_order(wanted: Iterable[Dependency]) -> dict[Dependency, None]:
    """These and all that they need, what is needed first."""
    order: dict[Dependency, None] = {}
    for one in wanted:
        order.update(_in_order(needed for _, needed in one.needs))
        order[one] = None
    return order


class _Reader:
    """Reads each provider once."""

    def __init__(self, task: str, hooks: frozenset[Provider]) -> None:
        self._task = task
        self._hooks = hooks
        self._read: dict[Provider, Dependency] = {}

    def read(self, provider: Provider, inside: tuple[Provider, ...]) -> Dependency:
        if provider in inside:
            raise self._refusal(provider, "depends on itself; break the ring")
        if provider not in self._read:
            self._read[provider] = self._make(provider, (*inside, provider))
        return self._read[provider]

    def _make(self, provider: Provider, inside: tuple[Provider, ...]) -> Dependency:
        if provider in self._hooks:
            return Dependency(provider, provider, is_async=False, opens=False, of_process=True)
        if not (inspect.isroutine(provider) or inspect.isclass(provider)):
            raise self._refusal(provider, "is no function; give a function, a class or a generator")
        takes_context, needs = self._parameters(provider, inside)
        generates = inspect.isgeneratorfunction(provider)
        generates_async = inspect.isasyncgenfunction(provider)
        call: Provider = provider
        if generates:
            call = contextmanager(typing.cast("Callable[..., Iterator[Any]]", provider))
        elif generates_async:
            call = asynccontextmanager(typing.cast("Callable[..., AsyncIterator[Any]]", provider))
        return Dependency(
            provider,
            call,
            is_async=generates_async or inspect.iscoroutinefunction(provider),
            opens=generates or generates_async,
            of_process=False,
            takes_context=takes_context,
            needs=needs,
        )

    def _parameters(
        self, provider: Provider, inside: tuple[Provider, ...]
    ) -> tuple[tuple[str, ...], tuple[tuple[str, Dependency], ...]]:
        try:
            parameters = inspect.signature(provider).parameters.values()
            of = provider.__init__ if inspect.isclass(provider) else provider
            hints = typing.get_type_hints(of, include_extras=True)
        except Exception as exc:
            why = f"has a signature that cannot be read ({exc}); mend it"
            raise self._refusal(provider, why) from exc
        contexts: list[str] = []
        needs: list[tuple[str, Dependency]] = []
        for parameter in parameters:
            hint = hints.get(parameter.name)
            mark = marked(hint)
            if mark is not None:
                needs.append((parameter.name, self.read(mark.provider, inside)))
            elif parameter.name == "ctx" or is_context_type(hint):
                contexts.append(parameter.name)
            elif parameter.default is _Kind.empty and parameter.kind not in (
                _Kind.VAR_POSITIONAL,
                _Kind.VAR_KEYWORD,
            ):
                why = (
                    f'needs "{parameter.name}", which nobody gives it; use Annotated[T, Depends()]'
                )
                raise self._refusal(provider, why)
        return tuple(contexts), tuple(needs)

    def _refusal(self, provider: object, why: str) -> UsageError:
        name = getattr(provider, "__qualname__", None) or shown(provider)
        return UsageError(f'task "{self._task}": the dependency {name} {why}')
