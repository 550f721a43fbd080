"""A bus within one process: what tests with jobs in memory hear."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from headrace.bus.hub import Ear, Hub, frames, said_lost
from headrace.ports.bus import Message


class MemoryBus:
    """The reference: told is heard, at once."""

    def __init__(self) -> None:
        self._hub = Hub()

    def belong_to(self, ledger: UUID) -> None:
        """There is no other to meet."""

    async def heard(self) -> frozenset[str]:
        """The channels that somebody hears."""
        return self._hub.channels

    @property
    def channels(self) -> frozenset[str]:
        """What somebody hears."""
        return self._hub.channels

    async def publish(self, messages: Sequence[Message]) -> None:
        """Tell whoever hears now."""
        self.say(messages)

    def say(self, messages: Sequence[Message]) -> None:
        """Tell, without a loop that runs."""
        for frame in frames(messages):
            self._hub.hear(frame.channel, frame.body)

    async def lost(self, channel: str, count: int) -> None:
        """Tell that so many messages were dropped."""
        await self.publish([said_lost(channel, count)])

    @asynccontextmanager
    async def subscribe(self, channels: Collection[str]) -> AsyncIterator[Ear]:
        """Hear these channels."""
        with self._hub.ear(channels) as ear:
            yield ear

    async def close(self) -> None:
        """End what there is to hear."""
        self._hub.close()
