"""When a schedule ticks, as users write it."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

from headrace.errors import UsageError
from headrace.model.cron import read_cron
from headrace.model.duration import Duration, parse_duration
from headrace.model.shown import shown
from headrace.model.timing import Timing, zone_of

_SHORTEST = timedelta(seconds=1)
_LAST_YEAR = 9000
_MOST_TICKS = 1000
_ALL = re.compile(r"all\(([0-9]{1,9})\)")


class TimingOptions(TypedDict, total=False):
    """When a schedule ticks. One of `cron` and `every` is needed.

    Attributes:
        cron: five fields, six with the second first, or "@daily" and the like.
        every: the time between ticks, at least "1s".
        tz: the time zone of `cron`, such as "Europe/Berlin"; "UTC".
        start: no tick before, an aware datetime; `every` counts from it.
        end: no tick after, an aware datetime.
        limit: how many ticks are made in all.
        jitter: up to so much later than the tick a job is due.
        catch_up: what becomes of ticks that were missed for a minute or longer, since nobody was
            there to make them: "skip", "last" or "all(N)", the newest N; "last".
    """

    cron: str | None
    every: Duration | None
    tz: str
    start: datetime | None
    end: datetime | None
    limit: int | None
    jitter: Duration
    catch_up: str


def read_timing(options: TimingOptions, name: str | None) -> Timing:
    """When a schedule ticks, checked.

    Args:
        options: as they were given; unknown ones were refused before.
        name: of the schedule, for errors; None: it is none yet.

    Raises:
        UsageError: one has a value that cannot be, they exclude each other, or no tick ever comes.
    """
    given: Mapping[str, Any] = dict(options)
    try:
        read = {key: _READERS[key](value) for key, value in given.items() if value is not None}
        timing = Timing(**read)
        _check(timing, given)
    except UsageError as exc:
        raise UsageError(str(exc) if name is None else f'schedule "{name}": {exc}') from None
    return timing


def edited(timing: Timing, changes: TimingOptions, name: str) -> Timing:
    """The same timing with changes: `cron` takes the place of `every`, and `every` that of `cron`.

    Raises:
        UsageError: as `read_timing`.
    """
    before: dict[str, Any] = {
        field: value
        for field in timing.__struct_fields__
        if (value := getattr(timing, field)) is not None
    }
    if changes.get("cron") is not None:
        before.pop("every", None)
    if changes.get("every") is not None:
        before.pop("cron", None)
        before.pop("tz", None)
    elif "every" in before:
        before.pop("tz", None)
    merged: Any = {**before, **changes}
    return read_timing(merged, name)


def _check(timing: Timing, given: Mapping[str, Any]) -> None:
    if (timing.cron is None) == (timing.every is None):
        raise UsageError(
            "cron and every exclude each other; give one of them"
            if timing.cron
            else 'nothing says when it ticks; give cron="0 3 * * *" or every="15m"'
        )
    if timing.every is not None and given.get("tz") is not None:
        raise UsageError(f"tz={shown(timing.tz)} says nothing of every; leave it out, or give cron")
    if timing.start is not None and timing.end is not None and timing.end <= timing.start:
        raise UsageError(
            f"end={timing.end.isoformat()} is not after start={timing.start.isoformat()}; "
            "give a later end"
        )
    if timing.start is not None and timing.after(timing.start - _SHORTEST) is None:
        raise UsageError("no tick lies between start and end; give a later end")


def _cron(value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(f'cron={shown(value)} is not a string; write it as in "0 3 * * *"')
    read_cron(value)
    return " ".join(value.split())


def _every(value: object) -> timedelta:
    every = parse_duration(value, "every")
    if every < _SHORTEST:
        raise UsageError(f'every={shown(value)} is shorter than a second; give at least "1s"')
    return every


def _tz(value: object) -> str:
    try:
        if isinstance(value, str):
            zone_of(value)
            return value
        guess = "Europe/Berlin"
    except ValueError as exc:
        guess = str(exc)
    raise UsageError(f'tz={shown(value)} is no time zone; write one such as "{guess}"')


def _instant(name: str) -> Callable[[object], datetime]:
    def read(value: object) -> datetime:
        if not isinstance(value, datetime):
            raise UsageError(f"{name}={shown(value)} is not a datetime; give an aware one")
        if value.utcoffset() is None:
            raise UsageError(
                f"{name}={value.isoformat()} has no time zone; "
                "add one, such as datetime(..., tzinfo=UTC) or .astimezone()"
            )
        if not 1970 <= value.year <= _LAST_YEAR:
            raise UsageError(
                f"{name}={value.isoformat()} lies outside of the years 1970 to {_LAST_YEAR}; "
                "choose a time within"
            )
        return value.astimezone(UTC)

    return read


def _limit(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 1 << 31:
        raise UsageError(f"limit={shown(value)} is no number of ticks; give 1 or more")
    return value


def _catch_up(value: object) -> str:
    if isinstance(value, str) and value in {"skip", "last"}:
        return value
    found = _ALL.fullmatch(value) if isinstance(value, str) else None
    if found and 1 <= int(found[1]) <= _MOST_TICKS:
        return f"all({int(found[1])})"
    raise UsageError(
        f'catch_up={shown(value)} is unknown; write "skip", "last" or "all(N)" '
        f"with N from 1 to {_MOST_TICKS}"
    )


_READERS: dict[str, Callable[[object], Any]] = {
    "cron": _cron,
    "every": _every,
    "tz": _tz,
    "start": _instant("start"),
    "end": _instant("end"),
    "limit": _limit,
    "jitter": lambda value: parse_duration(value, "jitter"),
    "catch_up": _catch_up,
}
