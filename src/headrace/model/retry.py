"""When a failed job runs again."""

from dataclasses import dataclass
from datetime import timedelta

from headrace.errors import UsageError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays between attempts.

    Attributes:
        base: the delay after the first failure, where `steps` is empty.
        factor: by what each later delay grows.
        cap: the longest delay.
        steps: the delays after the first, second, ... failure; the last one repeats.
        jitter: how much of a delay is random, 0 (exact) to 1 ("full jitter").
        max_attempts: the runs in all that this policy suggests, or None.
    """

    base: timedelta = timedelta(seconds=2)
    factor: float = 2.0
    cap: timedelta = timedelta(hours=1)
    steps: tuple[timedelta, ...] = ()
    jitter: float = 1.0
    max_attempts: int | None = None

    def delay(self, failures: int, roll: float) -> timedelta:
        """The delay after this many failures (from 1), for a random `roll` in [0, 1)."""
        return self._longest(failures) * (1 - self.jitter * roll)

    def _longest(self, failures: int) -> timedelta:
        if self.steps:
            return self.steps[min(failures, len(self.steps)) - 1]
        # 2.0 ** 64 seconds is past any cap, and a larger exponent would overflow a float.
        growth = self.factor ** min(failures - 1, 64)
        return timedelta(seconds=min(self.base.total_seconds() * growth, self.cap.total_seconds()))


def _steps(*seconds: float) -> RetryPolicy:
    delays = tuple(timedelta(seconds=second) for second in seconds)
    return RetryPolicy(steps=delays, jitter=0.1, max_attempts=len(delays) + 1)


PRESETS: dict[str, RetryPolicy] = {
    "seed-000": _steps(120, 240),
    "exponential": RetryPolicy(),
    "steps": _steps(1, 10, 60, 300, 900),
    "webhook": _steps(1, 5, 30, 120, 600, 1800, 3600, 7200),
    "mail": _steps(1, 5, 30, 120, 600),
    "aggressive": RetryPolicy(base=timedelta(seconds=1), max_attempts=10),
    "conservative": RetryPolicy(base=timedelta(seconds=5), max_attempts=2),
}


def parse_retry(value: object) -> RetryPolicy:
    """Read a retry policy: a `RetryPolicy` or the name of a preset.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(value, RetryPolicy):
        return value
    if isinstance(value, str) and value in PRESETS:
        return PRESETS[value]
    raise UsageError(
        f"retry={value!r} is unknown; use a RetryPolicy or one of {', '.join(sorted(PRESETS))}"
    )
