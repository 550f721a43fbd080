"""Named points at which a process of a chaos run kills itself, put around objects from outside.

The product calls nothing of this: a chaos process wraps its ledger or lane before it uses them, as
HEADRACE_CHAOS_CRASH says, for example ``ledger.settle:after:3,lane.take:before:1``.
"""

import inspect
import os
import re
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Any, TypeVar, cast

from chaos.events import CrashPointReached
from chaos.history import History

VARIABLE = "HEADRACE_CHAOS_CRASH"
SPELLING = re.compile(r"(\w+)\.(\w+):(before|after):([1-9][0-9]*)")

T = TypeVar("T")


class When(StrEnum):
    """On which side of the call."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class CrashPoint:
    """Die before the nth call of a method of the object so named, or after its nth return."""

    target: str
    method: str
    when: When
    nth: int

    @property
    def name(self) -> str:
        """What the history calls it; the count is not part of it."""
        return f"{self.target}.{self.method}:{self.when}"


def parse_crash_points(text: str) -> tuple[CrashPoint, ...]:
    """Read a comma-separated list; an empty text is none.

    Raises:
        ValueError: a part is not spelt ``target.method:before|after:nth``.
    """
    return tuple(_parse(part.strip()) for part in text.split(",") if part.strip())


def crash_points_of_this_process() -> tuple[CrashPoint, ...]:
    """Read the points that the environment sets."""
    return parse_crash_points(os.environ.get(VARIABLE, ""))


def armed(name: str, target: T, points: Iterable[CrashPoint], history: History) -> T:
    """Return the target with its points around it, or itself where it has none.

    Args:
        name: what the points call it.
        target: any object; what it calls on itself is not seen.
        points: those of all targets.
        history: gets the line written just before the process dies.

    Raises:
        AttributeError: a point names a method that the target has not.
    """
    for point in points:
        if point.target == name:
            target = crash_at(target, point, history)
    return target


def crash_at(target: T, point: CrashPoint, history: History) -> T:
    """Return a stand-in for the target that kills this process by SIGKILL at the point."""
    method = getattr(target, point.method)
    calls = count(1)

    def reach(when: When) -> None:
        if when is point.when and next(calls) == point.nth:
            history.append(CrashPointReached(name=point.name))
            os.kill(os.getpid(), signal.SIGKILL)

    def call(*args: Any, **kwargs: Any) -> Any:
        reach(When.BEFORE)
        result = method(*args, **kwargs)
        if inspect.isawaitable(result):
            return reach_after(result)
        reach(When.AFTER)
        return result

    async def reach_after(result: Awaitable[Any]) -> Any:
        value = await result
        reach(When.AFTER)
        return value

    return cast("T", StandIn(target, point.method, call))


class StandIn:
    """Everything of the target but one method; reads and writes of attributes go through."""

    def __init__(self, target: object, method: str, wrapped: Callable[..., Any]) -> None:
        object.__setattr__(self, "_target", target)
        object.__setattr__(self, method, wrapped)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_target"), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(object.__getattribute__(self, "_target"), name, value)


def _parse(part: str) -> CrashPoint:
    spelt = SPELLING.fullmatch(part)
    if spelt is None:
        raise ValueError(
            f"{VARIABLE} has {part!r}; spell it target.method:before|after:nth,"
            " for example ledger.settle:after:3"
        )
    target, method, when, nth = spelt.groups()
    return CrashPoint(target, method, When(when), int(nth))
