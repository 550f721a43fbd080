"""When a job may start again: the one rule of attempts (protocol A5)."""

from headrace.errors import UsageError
from headrace.model.shown import shown

MOST_CRASHES = 3
_MOST_ATTEMPTS = 32767


def check_attempts(value: object) -> int:
    """Return the most attempts that a job may have, if it can be.

    Raises:
        UsageError: it is no whole number from 1 to 32767.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_ATTEMPTS:
        return value
    raise UsageError(
        f"max_attempts={shown(value)} must be a whole number from 1 to {_MOST_ATTEMPTS}"
    )


def spent(failures: int, crashes: int, max_attempts: int, *, rerun_on_crash: bool) -> bool:
    """Whether a job has used up its attempts.

    Each failure and each run that was cut short is one. With `rerun_on_crash` only failures count,
    and three crashes are too many all the same. The same in SQL: headrace.spent.
    """
    if rerun_on_crash:
        return failures >= max_attempts or crashes >= MOST_CRASHES
    return failures + crashes >= max_attempts
