"""Tasks without a ledger: declaring, binding, decoding, plain calls, and every refusal."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, computed_field

from headrace import (
    BadArguments,
    BadPayload,
    Context,
    Dead,
    Headrace,
    Retry,
    RetryPolicy,
    Snooze,
    Unique,
    UsageError,
)
from headrace.context import LocalContext
from headrace.model.task import Declaration

if TYPE_CHECKING:
    from decimal import Decimal as Unimported


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int
    lines: list[str] = []


@pytest.fixture
def app() -> Headrace:
    return Headrace("tests")


def arguments_of(app: Headrace, name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    task = app.tasks[name]
    return task.decode(task.job(*args, **kwargs).payload)


def test_a_task_has_its_options_or_the_defaults(app: Headrace) -> None:
    @app.task()
    async def one() -> None: ...

    @app.task(
        name="mail.two", queue="emails", priority="high", timeout="2m", retry="mail",
        rerun_on_crash=True,
    )  # fmt: skip
    def two() -> None: ...

    assert dict(app.tasks) == {"one": one, "mail.two": two}
    assert (one.queue, one.priority, one.max_attempts, one.timeout, one.is_async) == (
        "default", 5, 3, timedelta(minutes=5), True,
    )  # fmt: skip
    assert one.retry == RetryPolicy()
    assert two.declaration() == Declaration(
        name="mail.two", queue="emails", priority=3, max_attempts=6, rerun_on_crash=True
    )
    assert (two.timeout, two.is_async, two.wants_context) == (timedelta(minutes=2), False, False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quue": "x"}, '"quue" is no option of a task; did you mean "queue"?'),
        ({"colour": 1}, '"colour" is no option of a task; known: name, queue, priority'),
        ({"queue": "a b"}, "queue name 'a b' is not allowed; use 1 to 100 letters"),
        ({"name": ""}, None),
        ({"name": "-x"}, "task name '-x' is not allowed"),
        ({"priority": 11}, "priority=11 is unknown; use 1 (runs first) to 10"),
        ({"priority": "hihg"}, "priority='hihg' is unknown"),
        ({"priority": True}, "priority=True is unknown"),
        ({"max_attempts": 0}, "max_attempts=0 must be a whole number from 1"),
        ({"max_attempts": True}, "max_attempts=True must be a whole number from 1"),
        ({"timeout": 30}, 'timeout=30 has no unit; write "30s"'),
        ({"timeout": "0s"}, 'timeout="0s" leaves no time to run; give at least "1ms"'),
        ({"timeout": "soon"}, "timeout='soon' is not a duration; write"),
        ({"retry": "ofen"}, "retry='ofen' is unknown; use a RetryPolicy or one of"),
        ({"rerun_on_crash": "yes"}, "rerun_on_crash='yes' must be True or False"),
    ],
)
def test_options_of_a_task_are_refused_by_name(
    app: Headrace, options: dict[str, Any], message: str | None
) -> None:
    def fn() -> None: ...

    if message is None:
        assert app.task(**options)(fn).name == "fn"
        return
    with pytest.raises(UsageError) as refused:
        app.task(**options)(fn)
    assert message in str(refused.value)
    assert not app.tasks


def stars(*numbers: int) -> None: ...
def double_stars(**options: int) -> None: ...
def with_tx(tx: str) -> None: ...
def late_ctx(name: str, ctx: Context) -> None: ...
def late_annotated(name: str, here: Context) -> None: ...
def unresolvable(amount: "Unimported") -> None: ...
def union(value: Order | int) -> None: ...
def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (stars, r'task "stars": a job carries arguments by name, so *numbers cannot be stored;'),
        (double_stars, "so **options cannot be stored; name each parameter"),
        (with_tx, 'a parameter cannot be called "tx", which enqueue() takes for the transaction'),
        (late_ctx, 'the context "ctx" must be the first parameter'),
        (late_annotated, 'the context "here" must be the first parameter'),
        (unresolvable, "the annotation 'Unimported' is unknown at run time; import or define it"),
        (union, 'parameter "value" is annotated'),
        (generator, "@app.task() needs a function that returns once, not <function generator"),
        (async_generator, "needs a function that returns once"),
        (len, "needs a function that returns once, not <built-in function len>"),
        (lambda: None, "task name '<lambda>' is not allowed"),
    ],
)  # fmt: skip
def test_functions_that_cannot_be_jobs_are_refused(
    app: Headrace, fn: Callable[..., Any], message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        app.task()(fn)
    assert message in str(refused.value)
    assert not app.tasks


def test_a_name_belongs_to_one_task(app: Headrace) -> None:
    @app.task(name="mail")
    def one() -> None: ...

    with pytest.raises(UsageError, match=r'task "mail" exists already .*\.one.*another name'):
        app.task(name="mail")(lambda: None)


def test_arguments_are_bound_by_position_and_name_without_defaults(app: Headrace) -> None:
    @app.task()
    def fn(a: int, /, b: str, c: float = 1.5, *, d: Order | None = None) -> tuple[Any, ...]:
        return (a, b, c, d)

    assert arguments_of(app, "fn", 1, "x") == {"a": 1, "b": "x"}
    assert fn.job(1, "x").payload == b'{"a":1,"b":"x"}'
    order = Order(number=1, lines=["a"])
    read = arguments_of(app, "fn", 1, c=2, b="y", d=order)
    assert read == {"a": 1, "b": "y", "c": 2.0, "d": order}
    ctx = LocalContext("fn", "default", 3, app.state_of)
    assert fn.call(ctx, read) == (1, "y", 2.0, order)
    assert fn.call(ctx, {"a": 1, "b": "x"}) == (1, "x", 1.5, None)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, 'task "fn" needs the argument "a"; it takes (a, b, c)'),
        ((1,), {}, 'task "fn" needs the argument "b"'),
        ((1, 2, 3, 4), {}, "takes at most 2 arguments by position, 4 were given"),
        ((1, 2), {"b": 3}, 'got the argument "b" twice, by position and by name'),
        ((1, 2), {"z": 3}, 'has no argument "z" to be given by name; it takes (a, b, c)'),
        ((), {"a": 1, "b": 2}, 'has no argument "a" to be given by name'),
        (("x", 2), {}, 'argument "a": expected int, got str'),
        ((1, None), {}, 'argument "b": expected int, got null'),
        ((1, 2), {"c": {"number": "x"}}, 'argument "c": order.number: input should be'),
        ((1, 2), {"c": {"lines": []}}, 'argument "c": order.number: field required'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    app: Headrace, args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    @app.task()
    def fn(a: int, /, b: int, *, c: Order | None = None) -> None: ...

    with pytest.raises(BadArguments) as refused:
        arguments_of(app, "fn", *args, **kwargs)
    assert message.lower() in str(refused.value).lower()
    assert "\n" not in str(refused.value)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x" * 300_000, 'argument "v" takes 300,014 bytes of JSON, over the limit of 262,144'),
        (nested(65), 'argument "v" is nested over 64 levels deep; make it flatter'),
        (nested(1_000), "is nested over 64 levels deep"),
        (nested(100_000), "is nested over 64 levels deep"),
        ("a\0b", 'argument "v" contains a NUL character'),
        ({"\0": 1}, "contains a NUL character"),
        ("\\\0", "contains a NUL character"),
        ("a\ud800", r"contains a lone surrogate ('\ud800'), which is no text; encode"),
        (float("nan"), 'argument "v" contains nan, which JSON cannot express; pass None'),
        ([1, {"a": float("-inf")}], "contains -inf"),
        (object(), 'argument "v" cannot be stored as JSON (a object has no JSON form)'),
        (lambda: None, "cannot be stored as JSON (a function has no JSON form)"),
        (10**5000, 'argument "v" cannot be stored as JSON'),
        ({None: 1}, "cannot be stored as JSON"),
        (Order.model_construct(number="x"), "cannot be stored as JSON (Pydantic serializer"),
    ],
    ids=lambda one: one[:40] if isinstance(one, str) else type(one).__name__,
)  # fmt: skip
def test_payloads_that_cannot_be_kept_are_refused(
    app: Headrace, value: object, message: str
) -> None:
    @app.task()
    def fn(u: int, v: Any) -> None: ...

    with pytest.raises(BadPayload) as refused:
        fn.job(1, value)
    assert str(refused.value).startswith('task "fn": ')
    assert message in str(refused.value)
    with pytest.raises(BadPayload, match=r'task "fn": the result '):
        fn.encode_result(value)


@pytest.mark.parametrize(
    "value",
    [nested(63), [[[]]] * 100, "[[[[" * 100, r"\u0000", "null", "", [None], "\U0001f600", 2**63,
     {"1": 1}, "x" * 262_136],
)  # fmt: skip
def test_payloads_at_the_limit_are_taken(app: Headrace, value: object) -> None:
    @app.task()
    def fn(v: Any) -> None: ...

    assert arguments_of(app, "fn", value) == {"v": value}


def test_the_payload_limit_is_a_setting() -> None:
    app = Headrace("large", max_payload=1024 * 1024)

    @app.task()
    def fn(v: str, w: str = "") -> None: ...

    assert len(fn.job("x" * 1_000_000).payload) == 1_000_008
    with pytest.raises(BadPayload, match=r"the arguments together takes? 1,200,0"):
        fn.job("x" * 600_000, "y" * 600_000)


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b'{"a":"x"}', b'{"a":1,"z":1}', b"{}", b'{"a":1e400}', b"[" * 5_000, b"\xff"],
)
def test_a_stored_payload_that_does_not_fit_is_refused_when_it_runs(
    app: Headrace, payload: bytes
) -> None:
    @app.task()
    def fn(a: int) -> None: ...

    with pytest.raises(BadArguments, match=r'task "fn": '):
        fn.decode(payload)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dealy": "1s"}, '"dealy" is no option of a job; did you mean "delay"?'),
        ({"delay": 5}, 'delay=5 has no unit; write "5s"'),
        ({"delay": "-5s"}, "delay='-5s' is not a duration"),
        ({"delay": timedelta(seconds=-5)}, "is negative"),
        ({"delay": "1s", "run_at": datetime.now(UTC)}, "delay and run_at exclude each other"),
        ({"run_at": datetime(2030, 1, 1)}, "run_at=2030-01-01T00:00:00 has no time zone; add one, such as datetime(..., tzinfo=UTC)"),  # noqa: DTZ001, E501
        ({"run_at": "tomorrow"}, "run_at='tomorrow' is not a datetime; use delay"),
        ({"priority": 0}, "priority=0 is unknown"),
        ({"queue": "no queue"}, "queue name 'no queue' is not allowed"),
        ({"max_attempts": 40_000}, "max_attempts=40000 must be a whole number from 1 to 32767"),
        ({"idempotency_key": ""}, "idempotency_key has 0 characters; give 1 to 500"),
        ({"idempotency_key": 7}, "idempotency_key=7 must be a string"),
        ({"idempotency_key": "a\0"}, r"idempotency_key='a\x00' contains a NUL"),
        ({"tenant": "\udfff"}, r"tenant='\udfff' contains a NUL or a lone surrogate"),
        ({"idempotency_for": "1h"}, "idempotency_for needs an idempotency_key"),
        ({"unique": "k"}, "unique='k' is no headrace.Unique; write unique=Unique"),
        ({"unique": Unique(), "idempotency_key": "k"}, "exclude each other; give one of them"),
        ({"idempotency_key": "k", "idempotency_for": "0s"}, 'idempotency_for="0s" would hold'),
    ],
)  # fmt: skip
def test_options_of_a_job_are_refused_by_name(
    app: Headrace, options: dict[str, Any], message: str
) -> None:
    @app.task()
    def fn() -> None: ...

    with pytest.raises(UsageError) as refused:
        fn.options(**options)
    assert message in str(refused.value)


def test_a_job_spec_takes_no_transaction(app: Headrace) -> None:
    @app.task()
    def fn() -> None: ...

    with pytest.raises(UsageError, match=r"job\(\) takes no tx; give it to enqueue_many"):
        fn.options(tx=object()).job()


async def test_enqueue_before_start_says_what_to_do(app: Headrace) -> None:
    @app.task()
    def fn() -> None: ...

    with pytest.raises(UsageError, match=r'application "tests" is not started .*`async with app:`'):
        await fn.enqueue()


async def test_a_plain_call_has_a_context_of_its_own(app: Headrace) -> None:
    @app.task(queue="emails", max_attempts=4)
    async def fn(ctx: Context, name: str) -> str:
        await ctx.progress(0.5, "half")
        await ctx.extend("1m")
        assert ctx.idempotency_key == str(ctx.job_id)
        return f"{ctx.task} {ctx.queue} {ctx.attempt}/{ctx.max_attempts} {name}"

    @app.task()
    async def writes(ctx) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - by its name alone
        async with ctx.transaction():
            pass

    assert await fn("you") == "fn emails 1/4 you"
    with pytest.raises(UsageError, match=r'a plain call of task "writes" has no job'):
        await writes()


def test_results_are_encoded_and_read_by_the_annotation(app: Headrace) -> None:
    @app.task()
    def fn() -> Order | Snooze | Retry | None:
        return None

    @app.task()
    def steers() -> Dead:
        return Dead()

    assert fn.encode_result(None) == "null"
    stored = fn.encode_result(Order(number=1)).encode()
    assert fn.decode_result(stored) == Order(number=1)
    assert fn.decode_result(b"null") is None
    assert fn.decode_result(b'"of an older version"') == "of an older version"  # type: ignore[comparison-overlap]
    assert steers.decode_result(b"1") == 1  # type: ignore[comparison-overlap]


def test_models_with_aliases_and_computed_fields_come_back(app: Headrace) -> None:
    class Aliased(Order):
        price: float = Field(alias="unitPrice")

        @computed_field  # type: ignore[prop-decorator] # as its documentation says
        @property
        def total(self) -> float:
            return self.price * len(self.lines)

    @app.task()
    def fn(order: Aliased) -> None: ...

    order = Aliased(number=1, lines=["a"], unitPrice=2.5)
    assert arguments_of(app, "fn", order) == {"order": order}
