"""Durations at the edge: `timedelta`, or a string with a unit such as "30s", "2m" or "1h30m"."""

import re
from datetime import timedelta

from headrace.errors import UsageError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_LONGEST = timedelta(days=3650)

Duration = timedelta | str


def parse_duration(value: object, name: str) -> timedelta:
    """Read a duration.

    Args:
        value: a `timedelta`, or a string of numbers with units ms, s, m, h, d.
        name: what the duration is for, used in the error.

    Returns:
        The duration; never negative, at most ten years.

    Raises:
        UsageError: it has no unit, is no duration, is negative or too long.
    """
    if isinstance(value, timedelta):
        duration = value
    elif isinstance(value, str) and _WHOLE.fullmatch(value):
        duration = _sum_of_parts(value)
    elif isinstance(value, int | float):
        raise UsageError(f'{name}={value!r} has no unit; write "{value}s" or a timedelta')
    else:
        raise UsageError(f'{name}={value!r} is not a duration; write "30s", "2m", "1h30m"')
    if duration < timedelta(0):
        raise UsageError(f"{name}={value!r} is negative; a duration counts forward")
    if duration > _LONGEST:
        raise UsageError(f"{name}={value!r} is longer than ten years; choose a shorter one")
    return duration


def _sum_of_parts(text: str) -> timedelta:
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return min(timedelta(seconds=min(seconds, 1e11)), _LONGEST * 2)
