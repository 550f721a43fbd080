"""When a failed job runs again."""

from dataclasses import dataclass
from datetime import timedelta

from headrace.errors import UsageError
from headrace.model.attempts import check_attempts
from headrace.model.duration import parse_duration
from headrace.model.shown import shown

_STEEPEST = 1000.0


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

    Raises:
        UsageError: a value that cannot be.
    """

    base: timedelta = timedelta(seconds=2)
    factor: float = 2.0
    cap: timedelta = timedelta(hours=1)
    steps: tuple[timedelta, ...] = ()
    jitter: float = 1.0
    max_attempts: int | None = None

    def __post_init__(self) -> None:
        """Check each value."""
        for name, delay in (("base", self.base), ("cap", self.cap)):
            _check_delay(name, delay)
        _check_steps(self.steps)
        _check_number("factor", self.factor, 1, _STEEPEST)
        _check_number("jitter", self.jitter, 0, 1)
        if self.max_attempts is not None:
            check_attempts(self.max_attempts)

    def delay(self, failures: int, roll: float) -> timedelta:
        """The delay after this many failures (from 1), for a random `roll` in [0, 1)."""
        return self._longest(failures) * (1 - self.jitter * roll)

    def _longest(self, failures: int) -> timedelta:
        if self.steps:
            return self.steps[min(failures, len(self.steps)) - 1]
        # 2.0 ** 64 seconds is past any cap, and a larger exponent could overflow a float.
        growth = self.factor ** min(failures - 1, 64)
        return timedelta(seconds=min(self.base.total_seconds() * growth, self.cap.total_seconds()))


def _check_delay(name: str, value: object) -> None:
    if not isinstance(value, timedelta):
        raise UsageError(f"{name}={shown(value)} must be a timedelta, such as timedelta(seconds=5)")
    parse_duration(value, name)


def _check_steps(value: object) -> None:
    if not isinstance(value, tuple | list):
        raise UsageError(f"steps={shown(value)} must be a tuple of timedeltas")
    for place, step in enumerate(value):
        _check_delay(f"steps[{place}]", step)


def _check_number(name: str, value: object, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UsageError(f"{name}={shown(value)} must be a number from {least:g} to {most:g}")


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
        f"retry={shown(value)} is unknown; use a RetryPolicy or one of {', '.join(sorted(PRESETS))}"
    )
