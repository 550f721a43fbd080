"""Streams: what is told to a user, say, kept for a while, in one order for all who read."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

KEPT = 1_000
"""Events of a stream that are kept, and none for longer than a day."""

LIFE = 24 * 3600.0
FIRST = 0
"""The place before all events."""

GAP, HEARTBEAT = "gap", "heartbeat"
RESERVED = (GAP, HEARTBEAT)
"""Kinds that a reader makes itself."""


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What was published to a stream.

    Attributes:
        id: rises in the order of the commits; to read on after it is to miss nothing.
        stream: its name.
        kind: what it is about; `gap` where events after `after` are kept no more, and `heartbeat`
            where there was nothing to tell for a while, are made by the reader.
        at: when it was published, aware, by PostgreSQL's clock; None of what the reader made.
        data: a JSON value.
    """

    id: int
    stream: str
    kind: str
    at: datetime | None = None
    data: Any = None


class NewStreamEvent(msgspec.Struct, frozen=True):
    """An event before it is published; `data` is JSON."""

    stream: str
    kind: str
    data: msgspec.Raw


class Want(NamedTuple):
    """What a reader asks for: what came in a stream after an id."""

    stream: str
    after: int


class Page(NamedTuple):
    """What a stream has for a reader.

    Attributes:
        last: the id of its last event.
        gone: up to this id nothing is kept.
        events: the next ones, in order.
    """

    last: int = FIRST
    gone: int = FIRST
    events: tuple[StreamEvent, ...] = ()
