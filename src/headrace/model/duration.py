"""Durations at the edge: `timedelta`, or a string with a unit such as "30s", "2m" or "1h30m"."""

import re
from datetime import timedelta

from headrace.errors import UsageError
from headrace.model.shown import shown

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+")
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
    elif _lacks_unit(value):
        raise UsageError(f'{name}={value!r} has no unit; write "{value}s" or a timedelta')
    else:
        raise UsageError(f'{name}={shown(value)} is not a duration; write "30s", "2m", "1h30m"')
    if duration < timedelta(0):
        raise UsageError(f"{name}={shown(value)} is negative; a duration counts forward")
    if duration > _LONGEST:
        raise UsageError(f"{name}={shown(value)} is longer than ten years; choose a shorter one")
    return duration


def _lacks_unit(value: object) -> bool:
    """Whether the number would be a duration, were there a unit behind it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= _LONGEST.total_seconds() and _WHOLE.fullmatch(f"{value}s") is not None


def _sum_of_parts(text: str) -> timedelta:
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return min(timedelta(seconds=min(seconds, 1e11)), _LONGEST * 2)
