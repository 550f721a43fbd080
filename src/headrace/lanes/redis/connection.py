"""Connections to the lane's server, each of which knows the server that it reached."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ResponseError

from headrace.errors import LaneUnavailable, LaneUnsafe
from headrace.lanes.redis.faults import translated
from headrace.lanes.redis.scripts import Script
from headrace.lanes.redis.url import place, pool_of

_AT_ONCE = 8
Argument = bytes | str | float


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself.

    Attributes:
        run_id: new at every start, and another one on every replica.
        policy: what it does when its memory is full.
    """

    run_id: str
    version: str
    policy: str


class Link:
    """One connection. It is never re-opened: a server's next life is another link's."""

    def __init__(self, connection: AbstractConnection, server: Server, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self.server = server

    async def call(self, *command: Argument, within: float | None = None) -> Any:  # noqa: ANN401 - whatever the server replies
        """Send a command and read the reply, `within` seconds or the stock's timeout."""
        patience = self._timeout if within is None else within
        return await _call(self._connection, command, patience)

    async def run(self, script: Script, keys: list[bytes], args: Iterable[Argument]) -> Any:  # noqa: ANN401 - whatever the script returns
        """Run a script by its digest, or by its text if the server does not know it."""
        rest = (len(keys), *keys, *args)
        try:
            return await self.call(b"EVALSHA", script.digest, *rest)
        except NoScriptError:
            return await self.call(b"EVAL", script.text, *rest)

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.disconnect()


class Links:
    """A stock of links to one server.

    Args:
        url: redis://, rediss:// or unix://, as the redis package reads it.
        timeout: seconds for connecting and for each reply.
    """

    def __init__(self, url: str, *, timeout: float = 2.0) -> None:
        # Retries are ours alone: a call repeated by the driver would go out unflagged. So are
        # timeouts: the driver's own, on Python 3.11, swallow a cancellation.
        self._pool = pool_of(
            url,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
        self.name: str = place(url)
        self._timeout = timeout
        self._idle: list[Link] = []
        self._places = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def link(self) -> AsyncIterator[Link]:
        """Borrow a link; errors inside come out as ours.

        Raises:
            LaneUnavailable: the server is away, or refuses us.
            LaneUnsafe: the server evicts.
        """
        async with self._places:
            link = self._idle.pop() if self._idle else await self.connect()
            try:
                with translated(self.name):
                    yield link
            except BaseException as exc:
                if isinstance(exc.__cause__, ResponseError):
                    self._idle.append(link)
                else:
                    await link.close()
                if isinstance(exc, LaneUnavailable):
                    # Its server went away, and the idle links lead to the same one.
                    await self.close()
                raise
            self._idle.append(link)

    async def connect(self) -> Link:
        """Open a link of one's own."""
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]  # redis leaves it so
        try:
            with translated(self.name):
                async with asyncio.timeout(self._timeout):
                    await connection.connect()  # type: ignore[no-untyped-call]  # redis leaves it so
                info = await _call(connection, ("INFO", "server", "memory"), self._timeout)
        except BaseException:
            await connection.disconnect()
            raise
        link = Link(connection, _server(info), self._timeout)
        if link.server.policy not in {"", "noeviction"}:
            await link.close()
            raise LaneUnsafe(
                f"the lane's server {self.name} has maxmemory-policy {link.server.policy}, which "
                "throws jobs away when memory is full; set it to noeviction"
            )
        return link

    async def close(self) -> None:
        """Disconnect all that are idle."""
        gone, self._idle = self._idle, []
        for link in gone:
            await link.close()


async def _call(
    connection: AbstractConnection, command: tuple[Argument, ...], within: float
) -> Any:  # noqa: ANN401 - whatever the server replies
    # In C: the driver's own packing takes four times as long.
    packed = pack_command(command)  # type: ignore[arg-type] # its stub knows tuples of one only
    async with asyncio.timeout(within):
        await connection.send_packed_command(packed, check_health=False)
        return await connection.read_response(disable_decoding=True)


def _server(info: bytes) -> Server:
    fields = dict(
        line.split(":", 1) for line in info.decode("utf-8", "replace").splitlines() if ":" in line
    )
    if "run_id" not in fields:
        raise LaneUnavailable("the lane's server does not tell its run_id in INFO; it must")
    return Server(
        run_id=fields["run_id"],
        version=fields.get("valkey_version", fields.get("redis_version", "")),
        policy=fields.get("maxmemory_policy", ""),
    )
