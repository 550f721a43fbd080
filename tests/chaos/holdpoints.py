"""Named points at which a process of a chaos run waits, so that others go ahead of it for certain.

HEADRACE_CHAOS_HOLD names one point, spelt as a crash point; the process goes on once the file of
HEADRACE_CHAOS_GATE exists.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

from chaos.crashpoints import CrashPoint, StandIn, When, parse_crash_points
from chaos.events import HoldReached
from chaos.history import History

VARIABLE = "HEADRACE_CHAOS_HOLD"
GATE_VARIABLE = "HEADRACE_CHAOS_GATE"
POLL_SECONDS = 0.01

T = TypeVar("T")


def held(name: str, target: T, history: History) -> T:
    """Return the target with the point of this process around it, or itself where it has none."""
    for point in parse_crash_points(os.environ.get(VARIABLE, "")):
        if point.target == name:
            target = hold_at(target, point, history, Path(os.environ[GATE_VARIABLE]))
    return target


def hold_at(target: T, point: CrashPoint, history: History, gate: Path) -> T:
    """Return a stand-in whose nth call of an awaitable method waits at the point for the gate."""
    method: Callable[..., Awaitable[Any]] = getattr(target, point.method)
    calls = count(1)

    async def call(*args: Any, **kwargs: Any) -> Any:
        holds = next(calls) == point.nth
        if holds and point.when is When.BEFORE:
            await _wait(point, history, gate)
        result = await method(*args, **kwargs)
        if holds and point.when is When.AFTER:
            await _wait(point, history, gate)
        return result

    return cast("T", StandIn(target, point.method, call))


async def _wait(point: CrashPoint, history: History, gate: Path) -> None:
    history.append(HoldReached(name=point.name))
    while not gate.exists():
        await asyncio.sleep(POLL_SECONDS)  # a file tells nobody
