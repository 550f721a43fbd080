"""When a job may start again: the one rule of attempts (protocol A5)."""

from headrace.errors import UsageError
from headrace.model.shown import shown

MOST_CRASHES = 3
SUSPICIOUS = 2
"""Deaths of workers after which a job runs alone. After the first one all that ran there would wait
for each other; after a second one, few are left (tests/integration/test_poison.py)."""
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

    Each failure is one. A run cut short by its worker's death is none, since nobody knows whose
    fault that was: the job runs again, after a second such death alone, where a third is its own.
    Three such, or as many as there are attempts, are too many all the same. A job of one attempt
    never starts twice, unless it says `rerun_on_crash`. The same in SQL: headrace.spent.
    """
    if max_attempts == 1 and not rerun_on_crash:
        return failures + crashes >= 1
    return failures >= max_attempts or crashes >= max(MOST_CRASHES, max_attempts)
