"""Rate limits: how many jobs may start in any window of some length."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple

from headrace.errors import UsageError
from headrace.model.duration import parse_duration
from headrace.model.job import Delivery
from headrace.model.key_template import check_template, fields_of
from headrace.model.names import check_name, unknown
from headrace.model.shown import shown

MOST = 1_000_000
_UNITS = {
    "s": "1s",
    "sec": "1s",
    "second": "1s",
    "min": "1m",
    "minute": "1m",
    "h": "1h",
    "hour": "1h",
    "d": "1d",
    "day": "1d",
}
_RATE = re.compile(r"([0-9]{1,7})/([0-9a-z.]+)")
_SHORTEST, _LONGEST = timedelta(milliseconds=100), timedelta(days=31)
_NAMES = {1: "s", 60: "min", 3600: "hour", 86400: "day"}
PRESETS: dict[str, tuple[str, ...]] = {
    "emailSending": ("100/min", "2000/hour", "20000/day"),
    "emailCampaign": ("50/min", "1000/hour"),
    "stripeApi": ("25/s", "20000/hour"),
    "resendApi": ("2/s", "5000/hour"),
    "databaseWrites": ("100/s", "3000/min"),
    "searchIndexing": ("50/s", "1000/min"),
    "assetProcessing": ("30/min", "500/hour"),
    "taxGeneration": ("10/min", "200/hour"),
}
"""Limits of a shop: names and windows are fixed, the figures a beginning."""
HOLD = 0.25
"""Seconds that a job waits in its slot for its start, rather than to be put off."""


class Rate(NamedTuple):
    """At most `most` starts in any window of the length `span`."""

    most: int
    span: timedelta

    def __str__(self) -> str:
        """As it is written: "100/min"."""
        seconds = self.span.total_seconds()
        return f"{self.most}/{_NAMES.get(int(seconds)) if seconds in _NAMES else f'{seconds:g}s'}"


def parse_rate(value: object) -> Rate:
    """Read a rate such as "10/s", "100/min", "500/15m", "2000/hour" or "5000/day".

    Raises:
        UsageError: it is none, or out of range.
    """
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise UsageError(f'rate {shown(value)} is none; write "10/s", "100/min" or "5000/day"')
    most, unit = int(match[1]), match[2]
    span = parse_duration(_UNITS.get(unit, unit), f'the window of rate "{value}"')
    if not 1 <= most <= MOST:
        raise UsageError(f'rate "{value}" allows {most} starts; give 1 to {MOST:,}')
    if not _SHORTEST <= span <= _LONGEST:
        raise UsageError(f'rate "{value}" has a window of {span}; give one of 100 ms to 31 days')
    return Rate(most, span)


def parse_rates(name: str, values: Iterable[object]) -> tuple[Rate, ...]:
    """The rates of a limit, the shortest window first.

    Raises:
        UsageError: there is none, one cannot be, or two have the same window.
    """
    rates = sorted((parse_rate(one) for one in values), key=lambda rate: rate.span)
    if not rates:
        raise UsageError(f'limit "{name}" has no rate; give one or more, such as "100/min"')
    for one, two in pairwise(rates):
        if one.span == two.span:
            raise UsageError(f'limit "{name}" has {one} and {two} for one window; give one of them')
    return tuple(rates)


@dataclass(frozen=True, slots=True, init=False)
class RateLimit:
    """How often jobs may start, on all workers together: `RateLimit("stripe", "10/s", "5000/day")`.

    Tasks and queues that name the same limit share it. In any window of each rate's length no more
    jobs start than the rate says; one that may not is put off until it may, and uses no attempt.

    Args:
        name: of the limit; the database knows it by that.
        rates: such as "10/s", "100/min", "500/15m", "2000/hour", "5000/day"; one for each window.
        key: counts apart what has another key: a text with arguments of the task in it, such as
            "{org}". The option limit_key of a job wins over it.
        weight: how many starts one counts for. The option limit_weight of a job wins over it. More
            than a rate allows counts as all of that.

    Attributes:
        name: of the limit.
        rates: the shortest window first.
        key: the template, or None.
        weight: of each job.

    Raises:
        UsageError: one of these cannot be.
    """

    name: str
    rates: tuple[Rate, ...]
    key: str | None
    weight: int

    def __init__(self, name: str, *rates: str, key: str | None = None, weight: int = 1) -> None:
        object.__setattr__(self, "name", check_name("limit", name))
        object.__setattr__(self, "rates", parse_rates(name, rates))
        object.__setattr__(self, "key", check_template(f'limit "{name}": key', key))
        object.__setattr__(self, "weight", check_weight(weight))

    @classmethod
    def preset(cls, name: str) -> "RateLimit":
        """One of the limits that docs/limits.md lists.

        Raises:
            UsageError: there is none of this name.
        """
        if name not in PRESETS:
            raise UsageError(unknown("preset", name, sorted(PRESETS)))
        return cls(name, *PRESETS[name])

    @property
    def fields(self) -> frozenset[str]:
        """The arguments that its key names."""
        return fields_of(self.key)


def check_weight(value: object) -> int:
    """A weight.

    Raises:
        UsageError: it is no whole number from 1 on.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST:
        return value
    raise UsageError(f"weight {shown(value)} cannot be; give a whole number from 1 to {MOST:,}")


class Use(NamedTuple):
    """What a job takes of a limit when it starts."""

    limit: str
    key: str
    weight: int


class Ask(NamedTuple):
    """A job that would start, and the limits that it must keep to."""

    delivery: Delivery
    uses: tuple[Use, ...]


class Admission(NamedTuple):
    """Whether a job may start.

    Attributes:
        put_off: it may not; it is no longer the worker's, and comes again.
        wait: seconds until it may start, or comes again.
    """

    put_off: bool
    wait: float


class LimitSeen(NamedTuple):
    """A limit as the ledger has it.

    Attributes:
        rates: such as "10/s", the shortest window first.
        overridden: an operator has set it: what applications declare of it changes nothing.
        keys: how many of them it counts for now.
    """

    name: str
    rates: tuple[str, ...]
    overridden: bool
    keys: int


class WindowSeen(NamedTuple):
    """One window of a limit, for one key, at this moment.

    Attributes:
        rate: such as "10/s".
        used: weights of the starts in it.
        remaining: what may still start now.
        next_start: seconds until a job of weight 1 may start; None where one may now.
        rests: seconds for which nothing starts, since an outside service said so; or None.
    """

    key: str
    rate: str
    used: int
    remaining: int
    next_start: float | None
    rests: float | None
