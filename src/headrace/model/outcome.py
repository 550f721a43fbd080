"""What an attempt ends in. A handler may return an outcome or raise it."""

from datetime import timedelta

from headrace.model.duration import Duration, parse_duration
from headrace.model.shown import words


class Outcome(Exception):
    """Base of the outcomes a handler may return or raise."""


class Complete(Outcome):
    """The job is done; its result is kept with it.

    Args:
        result: what JSON can hold, 256 KiB at most. To return it alone is the same.
    """

    def __init__(self, result: object = None) -> None:
        super().__init__(result)
        self.result = result


class Retry(Outcome):
    """Run again: counts as a failure; the last attempt's makes the job dead.

    Args:
        error: what went wrong, a text or an exception; kept with the job.
        after: the delay; without it that of the task's retry policy.

    Raises:
        UsageError: the duration cannot be.
    """

    def __init__(self, error: object = "", *, after: Duration | None = None) -> None:
        super().__init__(error)
        self.error: str = words(error)
        self.after: timedelta | None = None if after is None else parse_duration(after, "after")


class Snooze(Outcome):
    """Run again later: not a failure, uses no attempt.

    Args:
        delay: from now.

    Raises:
        UsageError: the duration cannot be.
    """

    def __init__(self, delay: Duration) -> None:
        super().__init__(delay)
        self.delay: timedelta = parse_duration(delay, "delay")


class RateLimited(Outcome):
    """An outside service wants less: run again later, and nothing under the limit before.

    Not a failure, uses no attempt. The job's rate limits rest for all workers; one with a key
    rests for that key alone. What is under no limit comes back alone, as by `Snooze`.

    Args:
        after: how long to rest, such as the service says by Retry-After.
        limit: the name of the limit that rests; all that the job is under, if it is not given.

    Raises:
        UsageError: the duration cannot be.
    """

    def __init__(self, after: Duration, *, limit: str = "") -> None:
        super().__init__(after)
        self.after: timedelta = parse_duration(after, "after")
        self.limit = limit


class Cancel(Outcome):
    """Give the job up as no longer wanted.

    Args:
        reason: a text or an exception; kept with the job.
    """

    def __init__(self, reason: object = "") -> None:
        super().__init__(reason)
        self.reason: str = words(reason)


class Dead(Outcome):
    """Give the job up as failed: a dead letter, to be replayed by an operator.

    Args:
        reason: a text or an exception; kept with the job.
    """

    def __init__(self, reason: object = "") -> None:
        super().__init__(reason)
        self.reason: str = words(reason)
