"""What a type checker accepts and refuses: this file is read by mypy and run by pytest."""

from typing import assert_type

from headrace import Context, Headrace, JobHandle

app = Headrace("typing")


@app.task(queue="emails")
async def with_context(ctx: Context, to: str, subject: str = "") -> int:
    return len(to + subject) + ctx.attempt


@app.task()
async def without_context(to: str, *, copies: int = 1) -> str:
    return to * copies


@app.task()
def plain(number: int, /) -> float:
    return number / 2


@app.task()
def plain_with_context(ctx: Context, number: int) -> float:
    return number / ctx.attempt


@app.task()
async def nothing() -> None: ...


async def what_is_accepted(session: object) -> None:
    assert_type(await with_context.enqueue("a", "b"), JobHandle[int])
    assert_type(await with_context.enqueue(to="a", subject="b"), JobHandle[int])
    assert_type(await with_context.enqueue("a", "b", tx=session), JobHandle[int])
    assert_type(await with_context.options(tx=session).enqueue("a"), JobHandle[int])
    assert_type(await without_context.options(delay="1s").enqueue("a", copies=2), JobHandle[str])
    assert_type(await plain.enqueue(1), JobHandle[float])
    assert_type(await nothing.enqueue(), JobHandle[None])
    assert_type(await app.enqueue_many([plain.job(1), plain.job(2)]), list[JobHandle[float]])
    assert_type(await (await plain.enqueue(1)).result(), float)


async def what_is_refused(session: object) -> None:
    await with_context.enqueue(1, 2)  # type: ignore[call-overload]
    await with_context.enqueue()  # type: ignore[call-overload]
    await with_context.options(tx=session).enqueue(1)  # type: ignore[call-overload]
    with_context.job("a", wrong=1)  # type: ignore[call-arg]
    with_context.options(dealy="1s")  # type: ignore[call-arg]
    with_context.options(delay=5)  # type: ignore[arg-type]
    app.task(quue="x")  # type: ignore[call-arg]
    Headrace("x", databse_url="x")  # type: ignore[call-arg]


async def test_a_plain_call_has_the_type_and_value_of_the_function() -> None:
    assert assert_type(await with_context("a", subject="b"), int) == 3
    assert assert_type(await without_context("a", copies=2), str) == "aa"
    assert assert_type(plain(3), float) == 1.5
    assert assert_type(plain_with_context(3), float) == 3.0
    await nothing()
