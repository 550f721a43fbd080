"""When a job may start again: the one rule of attempts (protocol A5)."""

MOST_CRASHES = 3


def spent(failures: int, crashes: int, max_attempts: int, *, rerun_on_crash: bool) -> bool:
    """Whether a job has used up its attempts.

    Each failure and each run that was cut short is one. With `rerun_on_crash` only failures count,
    and three crashes are too many all the same. The same in SQL: headrace.spent.
    """
    if rerun_on_crash:
        return failures >= max_attempts or crashes >= MOST_CRASHES
    return failures + crashes >= max_attempts
