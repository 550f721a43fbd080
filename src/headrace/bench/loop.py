"""The fastest event loop that is here: uvloop where it is installed."""

import asyncio
from collections.abc import Coroutine
from importlib.util import find_spec
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    if find_spec("uvloop") is None:
        return asyncio.run(main)
    import uvloop  # noqa: PLC0415 - an optional dependency

    return uvloop.run(main)


def loop_name() -> str:
    """The name of the event loop that `run` uses."""
    return "asyncio" if find_spec("uvloop") is None else "uvloop"
