import inspect
import subprocess
import sys

import pytest

import headrace
from headrace.schedules import Schedules


@pytest.mark.parametrize("name", headrace.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(headrace, name).__name__ == name
    assert name in dir(headrace)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Headrcae'"):
        headrace.Headrcae  # type: ignore[attr-defined]  # noqa: B018 - the case


@pytest.mark.parametrize(
    "kind",
    [
        headrace.Headrace,
        headrace.Task,
        headrace.JobHandle,
        headrace.Topic,
        headrace.Flow,
        headrace.FlowHandle,
        Schedules,
    ],
)
def test_twins_without_an_event_loop_take_the_same(kind: type) -> None:
    public = [name for name in dir(kind) if not name.startswith("_")]
    verbs = {name.removesuffix("_sync") for name in public if name.endswith("_sync")}
    verbs -= {"call"}  # app.call_sync is what the others are made of
    assert verbs
    for verb in verbs:
        twin = inspect.signature(getattr(kind, f"{verb}_sync"))
        assert twin.parameters == inspect.signature(getattr(kind, verb)).parameters, verb


DEFINING = """
from headrace import Context, Headrace
app = Headrace("shop", database_url="postgresql://nobody@127.0.0.1:1/none")

@app.task(queue="work")
async def work(ctx: Context, number: int) -> int: ...
"""


@pytest.mark.parametrize(
    ("code", "slow"),
    [
        ("import headrace", {"asyncio", "asyncpg", "msgspec", "pydantic", "redis"}),
        (DEFINING, {"asyncpg", "pydantic", "redis"}),
    ],
)
def test_importing_and_defining_import_nothing_slow(code: str, slow: set[str]) -> None:
    code += f"\nimport sys; print({slow} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
