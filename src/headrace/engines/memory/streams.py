"""Streams in memory."""

from collections.abc import Sequence
from threading import RLock

import msgspec

from headrace.engines.memory.clock import StillClock
from headrace.model.stream import KEPT, NewStreamEvent, Page, StreamEvent, Want


class MemoryStreams:
    """The reference: a transaction's events are there at once."""

    def __init__(self, clock: StillClock, lock: RLock) -> None:
        self._clock = clock
        self._lock = lock
        self._events: dict[str, list[StreamEvent]] = {}

    async def publish(self, events: Sequence[NewStreamEvent], tx: object = None) -> list[int]:  # noqa: ARG002 - as the class says
        """Append events."""
        with self._lock:
            return [self._append(event) for event in events]

    def _append(self, event: NewStreamEvent) -> int:
        kept = self._events.setdefault(event.stream, [])
        number = kept[-1].id + 1 if kept else 1
        kept.append(
            StreamEvent(
                id=number,
                stream=event.stream,
                kind=event.kind,
                at=self._clock.now(),
                data=msgspec.json.decode(event.data),
            )
        )
        del kept[:-KEPT]
        return number

    async def read(self, wants: Sequence[Want], most: int) -> list[Page]:
        """The next events of each."""
        with self._lock:
            return [self._page(want, most) for want in wants]

    def _page(self, want: Want, most: int) -> Page:
        kept = self._events.get(want.stream, [])
        if not kept:
            return Page()
        after = [event for event in kept if event.id > want.after]
        return Page(kept[-1].id, kept[0].id - 1, tuple(after[:most]))
