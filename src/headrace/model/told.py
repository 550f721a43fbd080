"""What a job tells while it runs: its progress and its log lines, bounded."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec

from headrace.model.shown import storable

LINES = 200
"""How many lines are kept with a job, the newest; headrace.told_with() has the same number."""

_LONGEST = 1_000


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is.

    Attributes:
        fraction: 0 to 1.
        message: a few words.
        at: when it was told.
        attempt: the run that told it.
    """

    fraction: float
    message: str
    at: datetime
    attempt: int


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of a job said: 1,000 characters at most."""

    text: str
    at: datetime
    attempt: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a job has told.

    Attributes:
        progress: the last one; None where nothing was told.
        log: the last 200 lines, oldest first; none of them where many jobs are listed at once.
        dropped: how many lines are not kept, older ones and those that came too fast.
    """

    progress: Progress | None = None
    log: tuple[LogLine, ...] = ()
    dropped: int = 0


class _More(msgspec.Struct, frozen=True):
    attempt: int
    dropped: int
    log: list[tuple[float, str]]
    progress: tuple[float, float, str] | None


def told_with(told: Told, more: str, now: datetime) -> Told:
    """What a job has told, and now this: as headrace.told_with() does it.

    Args:
        told: until now.
        more: of a `Telling`; its times are seconds ago.
        now: by the clock of the jobs.
    """
    new = msgspec.json.decode(more, type=_More)

    def at(ago: float) -> datetime:
        return now - timedelta(seconds=ago)

    lines = [LogLine(text=text, at=at(ago), attempt=new.attempt) for ago, text in new.log]
    log = (*told.log, *lines)
    progress = told.progress
    if new.progress is not None:
        ago, fraction, message = new.progress
        progress = Progress(fraction=fraction, message=message, at=at(ago), attempt=new.attempt)
    over = max(0, len(log) - LINES)
    return Told(progress=progress, log=log[over:], dropped=told.dropped + new.dropped + over)


class Telling(NamedTuple):
    """What an attempt has to tell, on its way to the ledger.

    Attributes:
        more: as headrace.told_with() takes it.
        lines: how many lines are in it.
    """

    id: UUID
    gen: int
    more: str
    lines: int


def as_line(text: object) -> str:
    """A line as it is kept."""
    return storable(str(text), _LONGEST)
