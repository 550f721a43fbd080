"""The bus by LISTEN and NOTIFY, for where there is no Redis."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid4

import asyncpg

from headrace.bus.hub import Ear, Hub, frames, said_lost
from headrace.errors import ConfigError, LedgerError
from headrace.ledger.faults import translated
from headrace.ledger.queries import Queries
from headrace.ledger.statements import statement
from headrace.ports.bus import Message
from headrace.service import Loop

_EVERY = 5.0
_LIFE = 15.0  # seconds for which somebody who was cut off counts as hearing
_PATIENCE = 10.0
_BATCH = 16


class PostgresBus:
    """Tells by NOTIFY on the ledger's connections, and hears on one of its own.

    NOTIFY says nothing of who listens, so who does keeps a row with a life.

    Args:
        url: postgresql://user:password@host:port/database
        queries: what it tells by.
        listens: whether sessions are ours, so that LISTEN works.
    """

    def __init__(self, url: str, queries: Queries, *, listens: bool = True) -> None:
        self._url = url
        self._queries = queries
        self._listens = listens
        self._hub = Hub()
        self._me = uuid4()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._names: dict[str, str] = {}
        self._keeping = asyncio.Lock()
        self._loop = Loop("bus", self._keep)

    def belong_to(self, ledger: UUID) -> None:
        """NOTIFY reaches the sessions of one database."""

    async def heard(self) -> frozenset[str]:
        """The channels that somebody hears now."""
        return frozenset(row["channel"] for row in await self._queries.fetch("heard"))

    async def publish(self, messages: Sequence[Message]) -> None:
        """Tell whoever hears now."""
        packed = frames(messages)
        for start in range(0, len(packed), _BATCH):
            batch = packed[start : start + _BATCH]
            bodies = [frame.body.decode() for frame in batch]
            await self._queries.fetch("notify", [_name(one.channel) for one in batch], bodies)

    async def lost(self, channel: str, count: int) -> None:
        """Tell that so many messages were dropped."""
        await self.publish([said_lost(channel, count)])

    @asynccontextmanager
    async def subscribe(self, channels: Collection[str]) -> AsyncIterator[Ear]:
        """Hear these channels."""
        if not self._listens:
            raise ConfigError(
                "nothing is heard of events here: it takes LISTEN, which listen=false or "
                "prepared_statements=false rules out; configure redis_url"
            )
        with self._hub.ear(channels) as ear:
            await self._keep()
            self._loop.start()
            yield ear
        with suppress(LedgerError):  # the row's life ends by itself
            await self._keep()

    async def close(self) -> None:
        """Hear nothing any more."""
        self._hub.close()
        await self._loop.stop()
        async with self._keeping:
            self._drop()

    async def _keep(self) -> float:
        """Listen to what is to be heard, and say so again; what was missed meanwhile is a gap."""
        async with self._keeping:
            channels = self._hub.channels
            if not channels:
                await self._part()
                return _EVERY
            try:
                if self._connection is None or self._connection.is_closed():
                    self._drop()
                    self._connection = await self._connect()
                await self._listen(self._connection, channels)
            except BaseException:
                self._drop()
                raise
        return _EVERY

    async def _listen(
        self, connection: "asyncpg.Connection[asyncpg.Record]", channels: frozenset[str]
    ) -> None:
        wanted = {_name(channel): channel for channel in channels}
        with translated():
            for name in wanted.keys() - self._names.keys():
                await connection.add_listener(name, self._heard)
            for name in self._names.keys() - wanted.keys():
                await connection.remove_listener(name, self._heard)
            self._names = wanted
            await connection.execute(statement("hear"), self._me, sorted(channels), _LIFE)

    async def _part(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._names = {}
            try:
                with translated():
                    await connection.execute(statement("unhear"), self._me)
            finally:
                connection.terminate()

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        with translated():
            connection = await asyncpg.connect(
                self._url,
                timeout=_PATIENCE,
                command_timeout=_PATIENCE,
                server_settings={"application_name": "headrace bus"},
            )
        connection.add_termination_listener(self._cut_off)
        return connection

    def _cut_off(self, connection: object) -> None:
        if connection is self._connection:
            self._loop.wake()

    def _drop(self) -> None:
        """The connection is of no use: until there is another, nothing is heard."""
        connection, self._connection = self._connection, None
        self._names = {}
        if connection is not None:
            connection.terminate()
            self._hub.miss()

    def _heard(self, _connection: object, _pid: int, name: str, payload: object) -> None:
        channel = self._names.get(name)
        if channel is not None:
            self._hub.hear(channel, str(payload).encode())


def _name(channel: str) -> str:
    """PostgreSQL's names of channels have 63 bytes at most."""
    return "headrace:" + hashlib.blake2b(channel.encode(), digest_size=16).hexdigest()
