"""Streams: what is told to a user, say, and read by whoever shows it, later and again, too."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Protocol, TypeVar

import msgspec

from headrace.errors import BadPayload, UsageError
from headrace.model.duration import Duration, parse_duration
from headrace.model.stream import (
    FIRST,
    GAP,
    HEARTBEAT,
    RESERVED,
    NewStreamEvent,
    StreamEvent,
    Want,
)
from headrace.model.text import check_text
from headrace.payload import encode
from headrace.ports.engine import Engine
from headrace.readers import Readers

T = TypeVar("T")
_LAST = 2**63 - 1


class Owner(Protocol):
    """What streams need of their application."""

    @property
    def engine(self) -> Engine:
        """The engine of the running event loop."""

    @property
    def readers(self) -> Readers:
        """Who asks for all who read in the running event loop."""

    @property
    def max_payload(self) -> int:
        """Bytes that an event may take."""

    def call_sync(self, make: Callable[[], Coroutine[Any, Any, T]], instead: str) -> T:
        """Run a coroutine in the portal's event loop."""


class Streams:
    """The streams of the database: `app.streams`. A stream is there once somebody publishes to it.

    The last 1,000 events of each are kept, for a day.
    """

    def __init__(self, app: Owner) -> None:
        self._app = app

    async def publish(
        self,
        stream: str,
        kind: str,
        data: Any = None,  # noqa: ANN401 - what JSON can hold
        *,
        tx: object = None,
    ) -> int:
        """Append an event to a stream: kept when it returns, or once `tx` commits.

        Events of a stream are in the order of their commits. So whoever publishes to the same
        stream waits until an open `tx` that published to it has ended.

        Args:
            stream: any text, such as "users:42".
            kind: what it is about; not "gap" or "heartbeat".
            data: what JSON can hold, as much as the arguments of a job.
            tx: the transaction to publish in, an open one, as in `task.enqueue`.

        Returns:
            The id of the event in its stream.

        Raises:
            UsageError: the name, the kind or `tx` was refused.
            BadPayload: the data cannot be stored.
            LedgerUnavailable: PostgreSQL is away; without `tx` the event may be there.
        """
        check_text("stream", stream, least=1)
        check_text("kind", kind, least=1)
        if kind in RESERVED:
            raise UsageError(f'kind "{kind}" is what readers are told by themselves; name another')
        try:
            encoded = encode(data, self._app.max_payload)
        except BadPayload as exc:
            raise BadPayload(f'stream "{stream}": the data {exc}') from exc
        event = NewStreamEvent(stream, kind, msgspec.Raw(encoded))
        (event_id,) = await self._app.engine.streams.publish([event], tx)
        return event_id

    def publish_sync(
        self,
        stream: str,
        kind: str,
        data: Any = None,  # noqa: ANN401 - as above
        *,
        tx: object = None,
    ) -> int:
        """As `publish`, where no event loop runs; `tx` as in `task.enqueue_sync`."""
        return self._app.call_sync(
            lambda: self.publish(stream, kind, data, tx=tx), "await app.streams.publish(...)"
        )

    async def read(
        self,
        stream: str,
        *,
        after: int | str | None = None,
        heartbeat: Duration | None = None,
    ) -> AsyncGenerator[StreamEvent, None]:
        """The events of a stream, in order, and then those to come: `async for event in ...`.

        Each reader has a place of its own. It goes on through a restart of PostgreSQL.

        Args:
            stream: its name.
            after: the id of the last event that was read, or its text, such as the Last-Event-ID of
                a browser; 0 for all that is kept; None for what comes from now on.
            heartbeat: yield an event of the kind "heartbeat" where nothing comes for so long, with
                the id of the last one that was read.

        Yields:
            Events; one of the kind "gap" where some after `data["after"]` are kept no more.

        Raises:
            UsageError: an argument was refused, or the application was stopped meanwhile.
            LedgerUnavailable: PostgreSQL is away at the beginning, and `after` is None.
        """
        check_text("stream", stream, least=1)
        place = None if after is None else _place(after)
        seconds = (
            None if heartbeat is None else parse_duration(heartbeat, "heartbeat").total_seconds()
        )
        if place is None:
            (page,) = await self._app.engine.streams.read([Want(stream, _LAST)], 1)
            place = page.last
        while True:
            found = await self._app.readers.next(Want(stream, place), seconds)
            if found is None:
                yield StreamEvent(id=place, stream=stream, kind=HEARTBEAT)
                continue
            missing = max(found.gone, place) if found.last >= place else found.last
            if missing != place:
                before, place = place, missing
                if before != FIRST:
                    yield StreamEvent(id=place, stream=stream, kind=GAP, data={"after": before})
            for event in found.events:
                place = event.id
                yield event


def _place(after: object) -> int:
    """The id after which to read.

    Raises:
        UsageError: it is none.
    """
    text = str(after)
    if isinstance(after, bool) or not (text.isascii() and text.isdigit()) or int(text) > _LAST:
        raise UsageError(
            f"after is {after!r}, which is no id of an event; give that of the last one that was "
            "read, 0 for all that is kept, or None"
        )
    return int(text)
