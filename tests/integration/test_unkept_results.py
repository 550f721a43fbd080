"""What a handler returns and nobody can keep fails its attempt, in one sentence."""

from datetime import timedelta
from typing import Any

import pytest

from headrace import Complete, Headrace, RetryPolicy, State
from headrace.payload import MAX_RESULT
from headrace.worker.worker import Worker

UNKEPT: dict[str, tuple[Any, str]] = {
    "no JSON": (object(), "cannot be stored as JSON (a object has no JSON form)"),
    "a key": ({(1, 2): 3}, "cannot be stored as JSON"),
    "too large": ("x" * MAX_RESULT, "takes 262,146 bytes of JSON, over the limit of 262,144"),
    "NUL": (["a\0"], r"contains a NUL character (\x00), which PostgreSQL cannot keep"),
    "surrogate": ({"a": "\ud800"}, r"contains a lone surrogate ('\ud800'), which is no text"),
    "NaN": (float("nan"), "contains nan, which JSON cannot express; pass None or a string"),
    "infinity, as an outcome": (Complete([float("inf")]), "contains inf"),
    "a long number": (10**5000, "cannot be stored as JSON"),
}

_LATER = RetryPolicy(base=timedelta(hours=1), jitter=0)


@pytest.mark.parametrize("in_thread", [False, True], ids=["async", "thread"])
async def test_a_result_that_cannot_be_kept_fails_its_attempt(
    app: Headrace, *, in_thread: bool
) -> None:
    @app.task(name="odd", queue="q", max_attempts=2, retry=_LATER)
    async def odd(which: str) -> Any:
        return UNKEPT[which][0]

    @app.task(name="odd_in_thread", queue="q", max_attempts=2, retry=_LATER)
    def odd_in_thread(which: str) -> Any:
        return UNKEPT[which][0]

    @app.task(queue="q")
    async def plain() -> str:
        return "fine"

    task = odd_in_thread if in_thread else odd
    jobs = {which: await task.enqueue(which) for which in UNKEPT}
    good = await plain.enqueue()
    await Worker(app, {"q": 20}).run(burst=True)
    assert await good.result("1s") == "fine"
    for which, job in jobs.items():
        now = await job.refresh()
        error = now.error or {}
        told = str(error["message"])
        assert error["type"] == "BadPayload", which
        assert told.startswith(f'task "{task.name}": the result '), which
        assert UNKEPT[which][1] in told, which
        assert (now.state, now.failures, now.attempt) == (State.RETRYABLE, 1, 1), which
