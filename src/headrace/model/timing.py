"""When a schedule ticks: every so often or by cron, and which ticks are made after an outage."""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec

from headrace.model.cron import read_cron

LATE = timedelta(minutes=1)
"""A tick that no scheduler comes to for so long is missed: its catch-up decides."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)
_WINDOW = timedelta(minutes=1)
_WIDER = 4


class Timing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a schedule ticks; made by `read_timing`, or read from the ledger.

    Attributes:
        cron: an expression, in the time zone `tz`; excludes `every`.
        every: the time between ticks. They are counted from `start`, or else from the beginning of
            1970 in UTC, so that "15m" is each quarter of an hour, whoever counts.
        tz: the name of a time zone.
        start: no tick before.
        end: no tick after.
        limit: so many ticks are made in all.
        jitter: the job of a tick is due up to so much later; how much is settled by the name of the
            schedule and the tick.
        catch_up: what becomes of missed ticks: "skip", "last" or "all(N)".
    """

    cron: str | None = None
    every: timedelta | None = None
    tz: str = "UTC"
    start: datetime | None = None
    end: datetime | None = None
    limit: int | None = None
    jitter: timedelta = timedelta(0)
    catch_up: str = "last"

    def after(self, instant: datetime) -> datetime | None:
        """The first tick later than an instant, in UTC; None after the last one."""
        if self.start is not None:
            instant = max(instant, self.start - _INSTANT)
        if self.every is not None:
            anchor = self.start or _EPOCH
            tick = anchor + ((instant - anchor) // self.every + 1) * self.every
            found: datetime | None = tick.astimezone(UTC)
        else:
            found = read_cron(self.cron or "").after(instant, zone_of(self.tz))
        return None if found is None or (self.end is not None and found > self.end) else found

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Those later than one instant and not later than another."""
        tick = self.after(after)
        while tick is not None and tick <= until:
            yield tick
            tick = self.after(tick)

    def upcoming(self, after: datetime, n: int) -> list[datetime]:
        """The next `n`, whatever the limit."""
        return list(islice(self.ticks(after, datetime.max.replace(tzinfo=UTC)), n))

    def due(self, after: datetime, now: datetime, made: int = 0) -> "Due":
        """What is to be made of the ticks since one that was looked at last.

        Args:
            after: that one.
            now: by the ledger's clock.
            made: how many were made before.
        """
        late = max(after, now - LATE)
        ticks = list(self.ticks(late, now))
        most, newest_only = _read_catch_up(self.catch_up)
        wanted = most if not (newest_only and ticks) else 0
        ticks = [*self._newest(wanted, after, late), *ticks]
        if self.limit is not None:
            ticks = ticks[: max(0, self.limit - made)]
        first = self.after(after)
        missed = first is not None and first <= now and (not ticks or first < ticks[0])
        left = self.limit is None or made + len(ticks) < self.limit
        upto = max(after, now)
        return Due(
            ticks=ticks,
            upto=upto,
            then=self.after(upto) if left else None,
            missed=first if missed else None,
        )

    def _newest(self, n: int, after: datetime, until: datetime) -> list[datetime]:
        """The last `n` ticks of a span: found from its end, for it may hold millions."""
        width = _WINDOW
        while n > 0 and after < until:
            since = max(after, until - width)
            found = deque(self.ticks(since, until), maxlen=n)
            if len(found) == n or since == after:
                return list(found)
            width *= _WIDER
        return []

    def delay(self, name: str, tick: datetime) -> timedelta:
        """How much later than its tick a job of this schedule is due."""
        if not self.jitter:
            return timedelta(0)
        digest = sha256(f"{name}\n{tick.astimezone(UTC).isoformat()}".encode()).digest()
        return self.jitter * (int.from_bytes(digest[:6]) / (1 << 48))


class Due(NamedTuple):
    """What is to be made of the ticks of a schedule.

    Attributes:
        ticks: those to be made, in order.
        upto: all up to here are looked at now.
        then: when to look again, None if never.
        missed: the first one that is passed over, if some are.
    """

    ticks: list[datetime]
    upto: datetime
    then: datetime | None
    missed: datetime | None


@lru_cache(maxsize=512)
def zone_of(name: str) -> ZoneInfo:
    """A time zone.

    Raises:
        ValueError: there is none of this name; what it says may be the fix.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = sorted(available_timezones())
        folded = {one.lower(): one for one in known}
        near = get_close_matches(name.lower(), list(folded), 1)
        guess = folded[near[0]] if near else "Europe/Berlin"
        raise ValueError(guess) from None


def _read_catch_up(text: str) -> tuple[int, bool]:
    """How many missed ticks are made at most, and whether none is where others are due."""
    if text in {"skip", "last"}:
        return int(text == "last"), True
    return int(text.removeprefix("all(").removesuffix(")")), False
