"""The bus by Redis' own publish and subscribe, on the server that has the lane."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from headrace.bus.hub import Ear, Hub, frames, said_lost
from headrace.errors import LaneError
from headrace.lanes.redis.connection import Link, Links
from headrace.lanes.redis.faults import translated
from headrace.lanes.redis.keys import Keys
from headrace.model.lane_view import NOBODY
from headrace.ports.bus import Message
from headrace.ports.clock import boottime
from headrace.service import Loop

_log = logging.getLogger("headrace.lane")
_EVERY = 5.0
_SILENT = 12.0  # seconds without an answer, after which a connection leads nowhere
_PATIENCE = 5.0


class RedisBus:
    """Tells on the connections of a stock, and hears on one of its own.

    The server itself says which channels are heard; all go to the node of a cluster that has the
    lane, so that it knows all who hear.

    Args:
        url: of a server, of Sentinels or of a cluster.
        timeout: seconds for connecting and for each reply.
    """

    def __init__(self, url: str, *, timeout: float = 2.0) -> None:
        self._links = Links(url, timeout=timeout)
        self._ledger = NOBODY
        self._prefix = b""
        self._hub = Hub()
        self._link: Link | None = None
        self._reading: asyncio.Task[None] | None = None
        self._confirmed: set[bytes] = set()
        self._moved = asyncio.Event()
        self._answered = 0.0
        self._keeping = asyncio.Lock()
        self._loop = Loop("bus", self._keep)

    def belong_to(self, ledger: UUID) -> None:
        """Carry for this ledger from now on."""
        if ledger != self._ledger:
            self._ledger, keys = ledger, Keys(ledger)
            self._prefix = keys.bus
            self._links.lead_to(keys.meta)
            self._loop.wake()

    async def heard(self) -> frozenset[str]:
        """The channels that somebody hears now."""
        prefix = self._prefix
        async with self._links.link() as link:
            names = await link.call("PUBSUB", "CHANNELS", prefix + b"*")
        return frozenset(name.removeprefix(prefix).decode() for name in names)

    async def publish(self, messages: Sequence[Message]) -> None:
        """Tell whoever hears now."""
        async with self._links.link() as link:
            for frame in frames(messages):
                await link.call("PUBLISH", self._prefix + frame.channel.encode(), frame.body)

    async def lost(self, channel: str, count: int) -> None:
        """Tell that so many messages were dropped."""
        await self.publish([said_lost(channel, count)])

    @asynccontextmanager
    async def subscribe(self, channels: Collection[str]) -> AsyncIterator[Ear]:
        """Hear these channels."""
        with self._hub.ear(channels) as ear:
            await self._keep()
            self._loop.start()
            yield ear
        with suppress(LaneError):
            await self._keep()

    async def close(self) -> None:
        """Hear nothing any more."""
        self._hub.close()
        await self._loop.stop()
        async with self._keeping:
            await self._drop()
        await self._links.close()

    async def _keep(self) -> float:
        """Be subscribed to what is to be heard; what was missed meanwhile is a gap."""
        async with self._keeping:
            wanted = {self._prefix + name.encode() for name in self._hub.channels}
            if not await self._serves(wanted):
                await self._drop()
            if wanted:
                try:
                    await self._subscribe(wanted)
                except BaseException:
                    await self._drop()
                    raise
        return _EVERY

    async def _serves(self, wanted: set[bytes]) -> bool:
        """Whether the connection is one to go on with.

        It may lead to a server that is no longer that of the lane, where nothing is told.
        """
        if self._link is None or self._reading is None or self._reading.done() or not wanted:
            return False
        if boottime() - self._answered > _SILENT:
            return False
        there = {self._prefix + name.encode() for name in await self.heard()}
        return (self._confirmed & wanted) <= there

    async def _subscribe(self, wanted: set[bytes]) -> None:
        if self._link is None or self._reading is None:
            self._link = await self._links.connect()
            self._answered = boottime()
            self._reading = asyncio.create_task(self._read(self._link), name="headrace bus")
            self._reading.add_done_callback(self._cut_off)
        link, reading = self._link, self._reading
        with translated(self._links.name):
            if gone := self._confirmed - wanted:
                await link.send("UNSUBSCRIBE", *gone)
            if new := wanted - self._confirmed:
                await link.send("SUBSCRIBE", *new)
            await link.send("PING")
            async with asyncio.timeout(_PATIENCE):
                while not (wanted <= self._confirmed or reading.done()):
                    self._moved.clear()
                    await self._moved.wait()
        if reading.done():
            await reading  # it says why

    def _cut_off(self, reading: "asyncio.Task[None]") -> None:
        self._moved.set()
        self._loop.wake()
        if not reading.cancelled():
            _log.info("nothing is heard of events for a while: %s", reading.exception())

    async def _read(self, link: Link) -> None:
        while True:
            with translated(self._links.name):
                said = await link.hear()
            self._answered = boottime()
            if said[0] == b"message":
                channel = said[1].removeprefix(self._prefix).decode()
                self._hub.hear(channel, said[2])
            elif said[0] == b"subscribe":
                self._confirmed.add(said[1])
                self._moved.set()
            elif said[0] == b"unsubscribe":
                self._confirmed.discard(said[1])

    async def _drop(self) -> None:
        """The connection is of no use: until there is another, nothing is heard."""
        link, self._link = self._link, None
        reading, self._reading = self._reading, None
        self._confirmed = set()
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])
        if link is not None:
            await link.close()
            self._hub.miss()
