"""What is refused of middleware, dependencies and hooks, and what tasks without them pay."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest

from headrace import BadArguments, Context, Depends, Headrace, UsageError, injected
from headrace.dependencies import read_dependencies
from headrace.middleware import Next


@pytest.fixture
def app() -> Headrace:
    return Headrace("tests", database_url="postgresql://nobody@localhost/none")


async def audited(_: Context, call_next: Next, *, audit: str, level: int = 1) -> object:
    return (audit, level, await call_next())


async def timed(_: Context, call_next: Next) -> object:
    return await call_next()


def value() -> int:
    return 1


def test_options_are_those_that_middleware_declares() -> None:
    app = Headrace("tests", middleware=[timed, audited])
    app.task(name="good", middleware={"audit": "orders", "level": 2})(_nothing)
    with pytest.raises(UsageError, match=r'"x" does not say "audit", which the middleware audited'):
        app.task(name="x")(_nothing)
    with pytest.raises(UsageError, match=r'"audti" is no option of a middleware; did you mean "au'):
        app.task(name="x", middleware={"audti": "orders"})(_nothing)
    with pytest.raises(UsageError, match=r"option level='high' does not fit audited: Expected int"):
        app.task(name="x", middleware={"audit": "", "level": "high"})(_nothing)
    with pytest.raises(UsageError, match=r"middleware=\['audit'\] is no mapping"):
        app.task(name="x", middleware=["audit"])(_nothing)  # type: ignore[call-overload]
    assert list(app.tasks) == ["good"]


async def _nothing() -> None: ...


def test_without_middleware_no_option_is_known(app: Headrace) -> None:
    with pytest.raises(UsageError, match=r'task "x": "audit" is no option of a middleware; none'):
        app.task(name="x", middleware={"audit": ""})(_nothing)


def _generates(_: Context, __: Next) -> Any:
    yield


@pytest.mark.parametrize(
    "fn", [print, "timed", _nothing, _generates, lambda _: None, lambda *_: None]
)
def test_what_is_no_middleware(app: Headrace, fn: Any) -> None:
    with pytest.raises(UsageError, match=r"is no middleware; write `async def name\(ctx, call_nex"):
        app.middleware(fn)


def test_middleware_that_comes_too_late_or_twice(app: Headrace) -> None:
    app.middleware(audited)
    with pytest.raises(UsageError, match=r'option "audit" of middleware audited is one of audited'):
        app.middleware(audited)
    app.task(name="first", middleware={"audit": ""})(_nothing)
    with pytest.raises(UsageError, match=r'timed comes after task "first", which it would not wra'):
        app.middleware(timed)


def test_what_no_error_hook_is(app: Headrace) -> None:
    for hook in (lambda: None, "hook"):
        with pytest.raises(UsageError, match=r"cannot be told of an error; write `async def hook"):
            app.on_error(hook)  # type: ignore[type-var]


def _of_itself(other: "Annotated[int, Depends(_of_itself)]") -> int:
    return other


def _needs_more(number: int, again: int = 1) -> int:
    return number + again


def _unreadable(number: "Nowhere") -> object:  # type: ignore[name-defined]  # noqa: F821 - the case
    return number


@pytest.mark.parametrize(
    ("provider", "why"),
    [
        (_of_itself, "_of_itself depends on itself; break the ring"),
        (_needs_more, '_needs_more needs "number", which nobody gives it'),
        (_unreadable, "_unreadable has a signature that cannot be read"),
        ("text", "'text' is no function"),
    ],
)
def test_what_cannot_be_provided(app: Headrace, provider: Any, why: str) -> None:
    async def fn(it: Annotated[int, Depends(provider)]) -> None: ...

    with pytest.raises(UsageError, match=f'task "fn": the dependency {why}'):
        app.task()(fn)


def test_parameters_that_cannot_be_injected(app: Headrace) -> None:
    async def bare(it: int = injected) -> None: ...

    with pytest.raises(UsageError, match=r'"it" is injected by nothing; annotate it Annotated'):
        app.task()(bare)

    async def first(it: Annotated[int, Depends(value)], /, to: str) -> None: ...

    with pytest.raises(UsageError, match=r"so it cannot be positional-only; move it behind"):
        app.task()(first)

    async def before(it: Annotated[int, Depends(value)], to: str) -> None: ...

    with pytest.raises(
        UsageError, match=r'"to" comes after what is injected; move "it" to the end'
    ):
        app.task()(before)


def test_what_is_injected_is_no_argument_of_a_job(app: Headrace) -> None:
    @app.task()
    async def send(to: str, it: Annotated[int, Depends(value)] = injected) -> None: ...

    assert send.job("ann").payload == b'{"to":"ann"}'
    assert send.decode(b'{"to":"ann"}') == {"to": "ann"}
    with pytest.raises(BadArguments, match=r'"it" is no argument of its jobs: each run provides'):
        send.job("ann", it=1)
    with pytest.raises(BadArguments, match=r"takes at most 1 arguments by position"):
        send.job("ann", 1)
    with pytest.raises(BadArguments, match="unknown argument"):
        send.decode(b'{"to":"ann","it":1}')


async def test_lifespan_hooks_as_dependencies(app: Headrace) -> None:
    async def late() -> AsyncIterator[int]:
        yield 1

    @app.task()
    async def send(it: Annotated[int, Depends(late)] = injected) -> int:
        return it

    assert await send() == 1
    with pytest.raises(UsageError, match=r'"send" depends on .*late, which it would open for each'):
        app.lifespan(late)

    async def unknown() -> AsyncIterator[int]:
        yield 1

    @app.task()
    async def looks(ctx: Context) -> int:
        return ctx.state(unknown)

    with pytest.raises(UsageError, match=r"unknown is no lifespan hook of this application"):
        await looks()


async def test_a_plain_call_of_a_sync_task_has_no_loop(app: Headrace) -> None:
    async def token() -> str:
        return "token"

    @app.task()
    def send(to: str, token: Annotated[str, Depends(token)] = injected) -> str:
        return to + token

    with pytest.raises(
        UsageError, match=r"no event loop for what it depends on; give it: token=\."
    ):
        send("ann")
    assert send("ann", token="!") == "ann!"
    assert send("ann", "?") == "ann?"


def test_each_provider_is_called_once_a_run() -> None:
    made = read_dependencies(
        {"one": Depends(value), "other": Depends(value)}, "fn", (), is_async=True
    )
    assert made is not None
    assert len(made.in_loop) == 1
    assert made.beside == ()


def test_a_task_without_surroundings_is_called_plainly(app: Headrace) -> None:
    @app.task()
    async def plain(to: str) -> str:
        return to

    assert plain.call == plain._call
    assert plain.call_around is None
    coroutine = plain.call(_any_context(), {"to": "ann"})
    assert asyncio.run(coroutine) == "ann"


def _any_context() -> Any:
    return None


def test_callables_of_classes_provide(app: Headrace) -> None:
    class Settings:
        def __init__(self, number: Annotated[int, Depends(value)]) -> None:
            self.number = number

    provider: Callable[..., Any] = Settings

    @app.task()
    def send(settings: Annotated[Settings, Depends(provider)] = injected) -> int:
        return settings.number

    assert send() == 1
