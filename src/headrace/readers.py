"""Reading streams: one who asks for all who read in an event loop, woken by the bus."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from headrace.errors import ConfigError, HeadraceError, LedgerUnavailable, UsageError
from headrace.model.stream import Page, Want
from headrace.ports.bus import Bus, Gap
from headrace.ports.clock import boottime
from headrace.ports.streams import CHANNEL, StreamStore

_log = logging.getLogger("headrace.streams")
_EVERY = 1.0
_DEAF = 0.2
_AT_ONCE = 500
_MOST = 100
_AGAIN = 5.0


class _Waiter:
    """A reader that has read all it was given."""

    def __init__(self, want: Want) -> None:
        self.want = want
        self.page: asyncio.Future[Page] = asyncio.get_running_loop().create_future()


class Readers:
    """Asks for those that the bus names, and for all of them once a second at least.

    A reader is given a hundred events at a time, and asks for more when it has read them: one that
    is slow takes no memory. A ledger that is away is waited for.

    Args:
        store: where streams are kept.
        bus: names the streams that have something new.
    """

    def __init__(self, store: StreamStore, bus: Bus) -> None:
        self._store = store
        self._bus = bus
        self._waiting: dict[str, set[_Waiter]] = defaultdict(set)
        self._due: set[_Waiter] = set()
        self._nudge = asyncio.Event()
        self._deaf = True
        self._poller: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None

    async def next(self, want: Want, seconds: float | None) -> Page | None:
        """What comes next, or None when the time is up.

        Raises:
            UsageError: the application was stopped.
            HeadraceError: what the ledger said, other than that it is away.
        """
        waiter = _Waiter(want)
        self._waiting[want.stream].add(waiter)
        self._wake([waiter])
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(), name="headrace streams")
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen(), name="headrace streams' bus")
        try:
            async with asyncio.timeout(seconds):
                return await waiter.page
        except TimeoutError:
            return None
        finally:
            self._forget(waiter)

    async def close(self) -> None:
        """Ask no more; who still reads is told so."""
        for task in (self._poller, self._listener):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        self._fail(self._all(), UsageError("the application was stopped while a stream was read"))

    async def _poll(self) -> None:
        look_at_all = 0.0
        while self._waiting:
            self._nudge.clear()
            asked, self._due = self._due, set()
            if boottime() >= look_at_all:  # not only of those that are named: a name may be lost
                asked, look_at_all = self._all(), boottime() + (_DEAF if self._deaf else _EVERY)
            await self._ask(list(asked))
            with suppress(TimeoutError):
                async with asyncio.timeout(look_at_all - boottime()):
                    await self._nudge.wait()

    async def _ask(self, asked: list[_Waiter]) -> None:
        for start in range(0, len(asked), _AT_ONCE):
            some = asked[start : start + _AT_ONCE]
            try:
                pages = await self._store.read([one.want for one in some], _MOST)
            except LedgerUnavailable as exc:
                _log.info("streams are read later: %s", exc)
                return
            except Exception as exc:  # noqa: BLE001 - handed to those who read
                self._fail(some, exc)
                continue
            for one, page in zip(some, pages, strict=True):
                if _has_news(one.want, page) and not one.page.done():
                    one.page.set_result(page)

    async def _listen(self) -> None:
        """Hear which streams have something new; where nothing can be heard they are looked at."""
        while True:
            try:
                async with self._bus.subscribe([CHANNEL]) as heard:
                    self._deaf = False
                    async for message in heard:
                        if isinstance(message, Gap):
                            self._wake(self._all())
                            continue
                        for name in msgspec.json.decode(message.body, type=list[str]):
                            self._wake(self._waiting.get(name, ()))
            except ConfigError:
                return
            except HeadraceError as exc:
                _log.info("streams are looked at, not heard of: %s", exc)
            else:
                return  # the bus was closed
            await asyncio.sleep(_AGAIN)

    def _all(self) -> set[_Waiter]:
        return {waiter for waiters in self._waiting.values() for waiter in waiters}

    def _wake(self, waiters: Iterable[_Waiter]) -> None:
        before = len(self._due)
        self._due.update(waiters)
        if len(self._due) > before:
            self._nudge.set()

    def _fail(self, waiters: Iterable[_Waiter], exc: Exception) -> None:
        for waiter in waiters:
            if not waiter.page.done():
                waiter.page.set_exception(exc)

    def _forget(self, waiter: _Waiter) -> None:
        self._due.discard(waiter)
        waiters = self._waiting[waiter.want.stream]
        waiters.discard(waiter)
        if not waiters:
            del self._waiting[waiter.want.stream]


def _has_news(want: Want, page: Page) -> bool:
    """Something came, or is gone that the reader has not read, or was never there."""
    return bool(page.events) or page.gone > want.after or page.last < want.after
