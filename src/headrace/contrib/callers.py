"""A ready-made function belongs to the module that registers it."""

import sys
from collections.abc import Callable
from typing import Any

_CALLER = 2


def as_callers_own(fn: Callable[..., Any]) -> None:
    """Make the function one of the module whose top level calls our caller, `register`.

    Another process finds it by importing that module, as it finds any task. It would not, where
    `register` is called inside of a function: then it stays a local one, which
    `executor="process"` refuses.
    """
    frame = sys._getframe(_CALLER)  # noqa: SLF001 - as NamedTuple and TypedDict find their module
    if frame.f_code.co_name == "<module>":
        fn.__module__ = frame.f_globals["__name__"]
        fn.__qualname__ = fn.__name__
