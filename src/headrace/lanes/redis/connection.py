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

from headrace.errors import LaneUnavailable, LaneUnsafe, WrongEpoch
from headrace.lanes.redis.faults import translated
from headrace.lanes.redis.route import Route
from headrace.lanes.redis.scripts import Script

_AT_ONCE = 8
Argument = bytes | str | float


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself.

    Attributes:
        run_id: new at every start, and another one on every replica.
        role: master, or slave where it follows another.
        policy: what it does when its memory is full.
    """

    run_id: str
    role: str
    version: str
    policy: str


class Link:
    """One connection. It is never re-opened: a server's next life is another link's."""

    def __init__(
        self, connection: AbstractConnection, server: Server, slot: int, timeout: float
    ) -> None:
        self._connection = connection
        self._timeout = timeout
        self.server = server
        self.slot = slot

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

    async def send(self, *command: Argument) -> None:
        """Send a command whose reply is read by `hear`."""
        packed = pack_command(command)  # type: ignore[arg-type] # as in `_call`
        async with asyncio.timeout(self._timeout):
            await self._connection.send_packed_command(packed, check_health=False)

    async def hear(self) -> Any:  # noqa: ANN401 - whatever the server says
        """What the server says next, however long that takes."""
        return await self._connection.read_response(disable_decoding=True)

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.disconnect()


class Links:
    """A stock of links to the server that has the lane.

    Args:
        url: of a server, of Sentinels or of a cluster, as `url.py` reads it.
        timeout: seconds for connecting and for each reply.
    """

    def __init__(self, url: str, *, timeout: float = 2.0) -> None:
        # Retries are ours alone: a call repeated by the driver would go out unflagged. So are
        # timeouts: the driver's own, on Python 3.11, swallow a cancellation.
        self._route = Route(
            url,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
        self.name: str = self._route.name
        self._slot = 0
        self._timeout = timeout
        self._idle: list[Link] = []
        self._places = asyncio.Semaphore(_AT_ONCE)

    def lead_to(self, key: bytes) -> None:
        """From now on to the server that has this key."""
        self._slot = self._route.slot(key)

    @asynccontextmanager
    async def link(self) -> AsyncIterator[Link]:
        """Borrow a link; errors inside come out as ours.

        Raises:
            LaneUnavailable: the server is away, or refuses us.
            LaneUnsafe: the server evicts.
        """
        async with self._places:
            link = await self._idle_one() or await self.connect()
            try:
                with translated(self.name):
                    yield link
            except BaseException as exc:
                if isinstance(exc.__cause__, ResponseError):
                    self._idle.append(link)
                else:
                    await link.close()
                if isinstance(exc, LaneUnavailable) or self._may_have_moved(exc):
                    # The idle links lead to the same server.
                    await self.close()
                raise
            self._idle.append(link)

    async def _idle_one(self) -> Link | None:
        while self._idle:
            link = self._idle.pop()
            if link.slot == self._slot:
                return link
            await link.close()
        return None

    def _may_have_moved(self, exc: BaseException) -> bool:
        """Whoever is at another epoch than the ledger may be a primary that was replaced."""
        return self._route.moves and isinstance(exc, WrongEpoch)

    async def connect(self) -> Link:
        """Open a link of one's own."""
        with self._route.naming_files():
            return await self._connect()

    async def _connect(self) -> Link:
        slot = self._slot
        with translated(self.name):
            async with asyncio.timeout(self._timeout):
                pool = await self._route.find(slot)
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]  # redis leaves it so
        try:
            with translated(self.name):
                async with asyncio.timeout(self._timeout):
                    await connection.connect()  # type: ignore[no-untyped-call]  # redis leaves it so
                sections = ("server", "memory", "replication")
                info = await _call(connection, ("INFO", *sections), self._timeout)
        except BaseException:
            await connection.disconnect()
            raise
        link = Link(connection, _server(info), slot, self._timeout)
        if self._route.moves and link.server.role != "master":
            await link.close()
            raise LaneUnavailable(
                f"the lane's server {self.name} is a replica still; the failover is under way"
            )
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
        role=fields.get("role", "master"),
        version=fields.get("valkey_version", fields.get("redis_version", "")),
        policy=fields.get("maxmemory_policy", ""),
    )
