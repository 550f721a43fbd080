"""Who hears what in this process, and how messages are packed for the way to others."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Self

import msgspec

from headrace.ports.bus import ROOM, Gap, Heard, Message

_MOST = 10_000
_frame = msgspec.json.Decoder(list[msgspec.Raw])


class Ear:
    """What one subscriber has not read yet; bounded, so that nobody waits for it.

    Args:
        channels: what it hears.
        most: how many messages wait for it; newer ones are dropped and counted.
    """

    def __init__(self, channels: Collection[str], most: int = _MOST) -> None:
        self.channels: frozenset[str] = frozenset(channels)
        self._most = most
        self._waiting: deque[Heard] = deque()
        self._lost = 0
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()

    def hear(self, message: Message) -> None:
        """Keep a message, if there is room."""
        if len(self._waiting) >= self._most:
            self._lost += 1
            return
        self._own_up()
        self._waiting.append(message)
        self._rouse()

    def miss(self, lost: int | None) -> None:
        """So many messages are lost here."""
        self._own_up()
        self._waiting.append(Gap(lost))
        self._rouse()

    def close(self) -> None:
        """Nothing comes any more."""
        self._closed = True
        self._rouse()

    def __aiter__(self) -> AsyncIterator[Heard]:
        """What is heard, in order."""
        return self

    async def __anext__(self) -> Heard:
        """The next message, or how many are missing before it."""
        while not self._waiting:
            self._own_up()
            if self._waiting:
                break
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    def _own_up(self) -> None:
        if self._lost:
            self._waiting.append(Gap(self._lost))
            self._lost = 0

    def _rouse(self) -> None:
        with suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(self._arrived.set)


class Hub:
    """The ears of a process."""

    def __init__(self) -> None:
        self._ears: list[Ear] = []

    @property
    def channels(self) -> frozenset[str]:
        """What is heard here."""
        return frozenset[str]().union(*(ear.channels for ear in self._ears))

    @contextmanager
    def ear(self, channels: Collection[str]) -> Iterator[Ear]:
        """Hear these within the block."""
        ear = Ear(channels)
        self._ears = [*self._ears, ear]
        try:
            yield ear
        finally:
            self._ears = [one for one in self._ears if one is not ear]

    def hear(self, channel: str, frame: bytes) -> None:
        """Tell the ears of a channel what came in a frame."""
        ears = [ear for ear in self._ears if channel in ear.channels]
        for raw in _frame.decode(frame) if ears else ():
            body = bytes(raw)
            for ear in ears:
                if body.isdigit():
                    ear.miss(int(body))
                else:
                    ear.hear(Message(channel, body))

    def miss(self) -> None:
        """Nobody knows what was told meanwhile."""
        for ear in self._ears:
            ear.miss(None)

    def close(self) -> None:
        """Nothing comes any more."""
        for ear in self._ears:
            ear.close()


class Frame:
    """Messages of one channel that travel together."""

    def __init__(self, channel: str) -> None:
        self.channel: str = channel
        self._bodies: list[bytes] = []
        self._size = 2

    def takes(self, body: bytes) -> bool:
        """Add a message, if there is room."""
        if self._bodies and self._size + len(body) > ROOM:
            return False
        self._bodies.append(body)
        self._size += len(body) + 1
        return True

    @classmethod
    def of(cls, channel: str, body: bytes) -> Self:
        """The first message of one."""
        frame = cls(channel)
        frame.takes(body)
        return frame

    @property
    def body(self) -> bytes:
        """A JSON array."""
        return b"[" + b",".join(self._bodies) + b"]"


def frames(messages: Iterable[Message]) -> Sequence[Frame]:
    """Messages packed by channel, in order."""
    packed: list[Frame] = []
    last: dict[str, Frame] = {}
    for channel, body in messages:
        frame = last.get(channel)
        if frame is None or not frame.takes(body):
            last[channel] = frame = Frame.of(channel, body)
            packed.append(frame)
    return packed


def said_lost(channel: str, count: int) -> Message:
    """A bare number stands for so many lost messages."""
    return Message(channel, b"%d" % count)
