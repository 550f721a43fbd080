"""Streams of a ledger; whoever reads is woken by the bus."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import msgspec

from headrace.model.stream import NewStreamEvent, Page, Want
from headrace.ports.herald import Herald
from headrace.ports.streams import CHANNEL, StreamStore

_SHARE = 50
OnceCommitted = Callable[[object, Callable[[], None]], Awaitable[None]]


class TellingStreams:
    """Tells which streams have something new, behind the commit. Readers look for themselves, too.

    Args:
        store: where they are kept.
        herald: who tells.
        once_committed: lets something be called after the commit of a caller's transaction.
    """

    def __init__(self, store: StreamStore, herald: Herald, once_committed: OnceCommitted) -> None:
        self._store = store
        self._herald = herald
        self._once_committed = once_committed

    async def publish(self, events: Sequence[NewStreamEvent], tx: object = None) -> list[int]:
        """Append events, and tell of it once that is committed."""
        ids = await self._store.publish(events, tx)
        names = sorted({event.stream for event in events})
        if tx is None:
            self._tell(names)
            return ids
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._tell, names)

        await self._once_committed(tx, tell)
        return ids

    async def read(self, wants: Sequence[Want], most: int) -> list[Page]:
        """The next events of each."""
        return await self._store.read(wants, most)

    def _tell(self, names: Sequence[str]) -> None:
        if self._herald.open:
            for start in range(0, len(names), _SHARE):
                self._herald.tell(CHANNEL, msgspec.json.encode(names[start : start + _SHARE]))
