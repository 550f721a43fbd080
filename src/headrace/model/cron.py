"""Cron expressions: which moments they name, in a time zone whose clock is set forward and back.

Python's zones and cronsim know the calendar; what happens when the clock is set is decided here:

* Minute and hour are both named ("30 2 * * *"): so many runs on each day. What falls into the hour
  that is left out runs when that hour is over; what falls into the hour that comes twice runs in
  the first one alone.
* Minute or hour begins with a star ("*/15 * * * *", "0 * * * *"): by the clock on the wall. What is
  left out does not run, what comes twice runs twice: every real hour.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from headrace.errors import UsageError
from headrace.model.shown import shown

_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = {
    "second": "0 to 59",
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, L, or LW for the last weekday, and one that its months have",
    "month": "1 to 12, or JAN to DEC",
    "day-of-week": "0 (Sunday) to 7, SUN to SAT, MON#1 (the first Monday), 5L (the last Friday)",
}
_SECOND = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)
_A_TUESDAY = datetime(2030, 1, 1)  # noqa: DTZ001 - cronsim counts on the clock on the wall


class Cron(NamedTuple):
    """A cron expression that was read.

    Attributes:
        minutes: its five fields from the minute on.
        seconds: of the minute, in order.
        fixed: minute and hour are both named.
    """

    minutes: str
    seconds: tuple[int, ...]
    fixed: bool

    def after(self, instant: datetime, zone: ZoneInfo) -> datetime | None:
        """The first tick later than an instant, in UTC; None if none comes in fifty years."""
        minute = instant.astimezone(UTC).replace(second=0, microsecond=0)
        if self.seconds[-1] > 0 and self._minute_after(minute - _SECOND, zone) == minute:
            for second in self.seconds:
                if (tick := minute + timedelta(seconds=second)) > instant:
                    return tick
        found = self._minute_after(minute, zone)
        return None if found is None else found + timedelta(seconds=self.seconds[0])

    def _minute_after(self, instant: datetime, zone: ZoneInfo) -> datetime | None:
        local = instant.astimezone(zone)
        wall = local.replace(tzinfo=None, fold=0)
        if self.fixed:
            firsts = (_first_moment(one, zone) for one in self._walls_after(wall))
            return next((one for one in firsts if one > instant), None)
        ahead = (
            moment
            for one in self._walls_after(wall)
            for moment in _moments(one, zone)
            if moment > instant
        )
        return min((*self._second_pass(local, zone), *_first_of(ahead)), default=None)

    def _second_pass(self, local: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """What comes once more, up to the present time, if the clock is about to be set back."""
        wall = local.replace(tzinfo=None, fold=0)
        moments = _moments(wall, zone)
        if local.fold or len(moments) < 2:
            return
        again = self._walls_after(wall - (moments[1] - moments[0]))
        for one in takewhile(lambda candidate: candidate <= wall, again):
            if len(both := _moments(one, zone)) == 2:
                yield both[1]
                return

    def _walls_after(self, wall: datetime) -> Iterator[datetime]:
        """Times on a wall whose clock is never set."""
        try:
            yield from CronSim(self.minutes, wall)
        except OverflowError:  # past the year 9999
            return


@lru_cache(maxsize=4096)
def read_cron(expression: str) -> Cron:
    """Read an expression of five fields, of six with the second first, or such as "@daily".

    Raises:
        UsageError: it is none, or never comes.
    """
    fields = _NAMED.get(expression.strip().lower(), expression).upper().split()
    if len(fields) not in {5, 6}:
        raise UsageError(
            f"cron={shown(expression)} has {len(fields)} fields; write five (minute hour day month "
            'weekday), six with the second first, or a name such as "@daily"'
        )
    second, minutes = ("0", fields) if len(fields) == 5 else (fields[0], fields[1:])
    try:
        read = CronSim(" ".join((second, *minutes)), _A_TUESDAY)
    except (CronSimError, AssertionError) as exc:
        raise UsageError(f"cron={shown(expression)} {_fault(str(exc))}") from None
    cron = Cron(
        minutes=" ".join(minutes),
        seconds=tuple(sorted(read.seconds)),
        fixed=not minutes[0].startswith("*") and not minutes[1].startswith("*"),
    )
    if next(cron._walls_after(_A_TUESDAY), None) is None:  # noqa: SLF001 - of this module
        raise UsageError(f"cron={shown(expression)} never comes; name a day that its months have")
    return cron


def _fault(said: str) -> str:
    field = said.removeprefix("Bad ")
    if field in _FIELDS:
        return f"cannot be: its {field} may be {_FIELDS[field]}"
    return 'cannot be read; write it as in "0 3 * * *" or "*/10 8-17 * * MON-FRI"'


def _first_of(moments: Iterator[datetime]) -> tuple[datetime, ...]:
    return tuple(one for one in [next(moments, None)] if one is not None)


def _moments(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """When the clock on the wall shows this: once, twice, or never."""
    both = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(one for one in both if one.astimezone(zone).replace(tzinfo=None, fold=0) == wall)


def _first_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """When the clock shows this first, or, if it leaves this out, has just been set forward."""
    if moments := _moments(wall, zone):
        return moments[0]
    later, earlier = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    before = earlier.astimezone(zone).utcoffset()
    while later - earlier > _SECOND:
        middle = earlier + (later - earlier) // 2
        if middle.astimezone(zone).utcoffset() == before:
            earlier = middle
        else:
            later = middle
    return later.replace(microsecond=0)
