"""Tells of jobs on the bus, in batches behind what happened, and only while somebody hears."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from headrace.bus.memory import MemoryBus
from headrace.errors import HeadraceError
from headrace.model import event
from headrace.model.event import Event
from headrace.model.job import Delivery, Ending, NewJob, Token
from headrace.ports.bus import Bus, Message

_log = logging.getLogger("headrace.events")
FRESH = 1.0
"""Seconds for which an answer to the question who hears is gone by."""

_MOST = 10_000
_BATCH = 500
_CLOSING = 1.0
_encode = msgspec.json.Encoder().encode


class _Saying(NamedTuple):
    """What is to be told: a body, or an event that is none yet."""

    channel: str
    told: bytes | Event

    @property
    def channels(self) -> tuple[str, ...]:
        """On which it is told, where they are heard."""
        return (self.channel,) if isinstance(self.told, bytes) else (self.channel, event.JOBS)

    @property
    def body(self) -> bytes:
        """As it is told."""
        return self.told if isinstance(self.told, bytes) else _encode(self.told)


class Crier:
    """Makes events of what happens to jobs.

    Args:
        new_id: makes ids ordered by time, on the ledger's clock.
    """

    def __init__(self, new_id: Callable[[], UUID]) -> None:
        self._new_id = new_id

    def tell(self, channel: str, body: bytes) -> None:
        """Tell a message on a channel of the bus, if it is heard."""
        self._say(_Saying(channel, body))

    def enqueued(self, jobs: Sequence[NewJob]) -> None:
        """These jobs are committed."""
        for job in jobs:
            self._say_event(event.enqueued(self._new_id(), job))

    def started(self, delivery: Delivery) -> None:
        """An attempt begins."""
        self._say_event(event.started(self._new_id(), delivery))

    def progressed(self, delivery: Delivery, fraction: float, message: str) -> None:
        """An attempt has told how far it is, and the ledger has it."""
        self._say_event(event.progressed(self._new_id(), delivery, fraction, message))

    def ended(self, endings: Sequence[Ending], accepted: Collection[Token]) -> None:
        """Tell of those that were accepted: what is stale did not happen."""
        for ending in endings:
            if ending.delivery.token in accepted:
                self._say_event(event.ended(self._new_id(), ending))

    def _say_event(self, told: Event) -> None:
        self._say(_Saying(event.channel_of(told.queue), told))

    def _say(self, saying: "_Saying") -> None:
        raise NotImplementedError


class BusHerald(Crier):
    """Asks who hears once a second at most, and only when there is something to tell.

    What happens while that is asked waits for the answer, so nothing is missed by who began to hear
    a second ago. A bus that is away or slow makes it drop and count.

    Args:
        bus: carries it.
        new_id: makes ids ordered by time, on the ledger's clock.

    Attributes:
        open: whether somebody hears, or that has to be asked.
    """

    def __init__(self, bus: Bus, new_id: Callable[[], UUID]) -> None:
        super().__init__(new_id)
        self.open: bool = True
        self._bus = bus
        self._waiting: deque[_Saying] = deque()
        self._lost: Counter[str] = Counter()
        self._audience: frozenset[str] = frozenset()
        self._known = False
        self._ageing: asyncio.TimerHandle | None = None
        self._flight: asyncio.Task[None] | None = None
        self._closed = False

    def ask_again(self) -> None:
        """Somebody has begun to hear."""
        if not self._closed:
            self.open, self._known = True, False

    async def close(self) -> None:
        """Tell what is still to be told, for a moment."""
        self._closed, self.open = True, False
        if self._ageing is not None:
            self._ageing.cancel()
        if self._flight is not None:
            await asyncio.wait([self._flight], timeout=_CLOSING)
            self._flight.cancel()

    def _say(self, saying: _Saying) -> None:
        if not self.open:
            return
        if len(self._waiting) >= _MOST:
            self._lost.update(saying.channels)
            return
        self._waiting.append(saying)
        if self._flight is None or self._flight.done():
            self._flight = asyncio.create_task(self._fly(), name="headrace events")

    async def _fly(self) -> None:
        while self._waiting or self._lost:
            if not self._known:
                await self._ask()
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            lost, self._lost = self._lost, Counter()
            if self._audience:
                await self._publish(batch, lost)

    async def _publish(self, batch: Sequence[_Saying], lost: Counter[str]) -> None:
        messages = [message for saying in batch for message in self._messages(saying)]
        try:
            if messages:
                await self._bus.publish(messages)
            for channel, count in lost.items():
                if channel in self._audience:
                    await self._bus.lost(channel, count)
        except HeadraceError as exc:
            _log.info("%d messages are not told: %s", len(messages), exc)
            self._audience, self.open = frozenset(), False  # until it is asked again

    def _messages(self, saying: _Saying) -> Iterator[Message]:
        heard = [channel for channel in saying.channels if channel in self._audience]
        body = saying.body if heard else b""
        return (Message(channel, body) for channel in heard)

    async def _ask(self) -> None:
        self._known = True
        try:
            self._audience = await self._bus.heard()
        except HeadraceError as exc:
            _log.debug("who hears events is not known: %s", exc)
            self._audience = frozenset()
        if self._closed:
            return
        self.open = bool(self._audience) or not self._known
        if self._ageing is not None:
            self._ageing.cancel()
        self._ageing = asyncio.get_running_loop().call_later(FRESH, self.ask_again)


class MemoryHerald(Crier):
    """Tells at once, in this process.

    Args:
        bus: in memory.
        new_id: makes ids ordered by time.
    """

    def __init__(self, bus: MemoryBus, new_id: Callable[[], UUID]) -> None:
        super().__init__(new_id)
        self._bus = bus

    @property
    def open(self) -> bool:
        """Whether somebody hears."""
        return bool(self._bus.channels)

    def ask_again(self) -> None:
        """Who hears is known."""

    async def close(self) -> None:
        """Nothing is left to be told."""

    def _say(self, saying: _Saying) -> None:
        self._bus.say([Message(one, saying.body) for one in saying.channels])
