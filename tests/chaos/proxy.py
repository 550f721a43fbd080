"""A TCP proxy on loopback whose faults are switched while connections run through it.

It lives in a thread with an event loop of its own, so a blocked caller cannot stall it.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar, assert_never
from urllib.parse import SplitResult, urlsplit

from chaos.dialects import Dialect
from chaos.network import (
    BOTH,
    Delay,
    Direction,
    Drop,
    Hold,
    NetworkFault,
    Pass,
    Slow,
    Trap,
)

CHUNK = 64 * 1024
HOST = "127.0.0.1"
COMMAND_TIMEOUT = 10.0
SLOW_PIECES_PER_SECOND = 20
T = TypeVar("T")
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Link:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    dialect: Dialect | None
    pumps: list[asyncio.Task[None]] = field(default_factory=list)
    lost_something: bool = False
    unanswered: int = 0
    swallowing: Trap | None = None

    async def run(self) -> None:
        """Carry until both ways have ended or one broke; a broken one breaks the other."""
        await asyncio.wait(self.pumps, return_when=asyncio.FIRST_EXCEPTION)
        broken = any(pump.cancelled() or pump.exception() for pump in self.pumps if pump.done())
        if broken:
            self.reset()
        for outcome in await asyncio.gather(*self.pumps, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, OSError):
                raise outcome
        for writer in (self.client, self.server):
            writer.close()

    def reset(self) -> None:
        for pump in self.pumps:
            pump.cancel()
        _reset(self.client)
        _reset(self.server)


class Proxy:
    """Carries connections from ``host:port`` to the target, with the faults in force.

    Args:
        target_host: where the real server listens.
        target_port: its port.
        dialect: PostgresDialect or RedisDialect, needed only for the faults tied to a request.
    """

    host = HOST

    def __init__(
        self, target_host: str, target_port: int, dialect: Callable[[], Dialect] | None = None
    ) -> None:
        self.port = 0
        self._behind: SplitResult | None = None
        self._target = (target_host, target_port)
        self._dialect = dialect
        self._faults: dict[Direction, NetworkFault] = dict.fromkeys(Direction, Pass())
        self._changed = asyncio.Event()
        self._links: set[_Link] = set()
        self._traps: list[Trap] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._listener: asyncio.Server | None = None
        self._cuts = 0
        self._failures: list[Exception] = []
        self._reserved = socket.socket()

    @classmethod
    def before(cls, url: str, dialect: Callable[[], Dialect] | None = None) -> Self:
        """Return a proxy before the server of a URL; its own URL is `url` once it is entered."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        proxy = cls(parts.hostname, parts.port, dialect)
        proxy._behind = parts
        return proxy

    @property
    def url(self) -> str:
        """The URL of the server behind, by way of this proxy; it must have been made from one."""
        assert self._behind is not None
        user, _, _ = self._behind.netloc.rpartition("@")
        return self._behind._replace(netloc=f"{user}@{HOST}:{self.port}").geturl()

    def __enter__(self) -> Self:
        # A bound socket that never listens keeps the port ours while connections are refused.
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reserved.bind((HOST, 0))
        self.port = self._reserved.getsockname()[1]
        self._thread.start()
        self.accept()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._command(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(COMMAND_TIMEOUT)
        self._loop.close()
        self._reserved.close()
        if self._failures and error is None:
            raise ExceptionGroup("the proxy could not carry some connections", self._failures)

    @property
    def connections(self) -> int:
        """How many connections run through it now."""
        return len(self._links)

    def inject(self, fault: NetworkFault, *directions: Direction) -> None:
        """Put a fault in force, one way or both, on connections present and to come."""
        self._command(self._inject(fault, directions or BOTH))

    def heal(self) -> None:
        """Carry everything again and accept connections; those that lost bytes are reset."""
        self._command(self._inject(Pass(), BOTH))
        self.accept()

    def cut(self) -> int:
        """Reset every connection; returns how many."""
        return self._command(self._cut())

    def refuse(self) -> None:
        """Refuse new connections; those present go on."""
        self._command(self._stop_listening())

    def accept(self) -> None:
        """Accept new connections again."""
        self._command(self._listen())

    def drop_next_reply(self, after: bytes) -> Trap:
        """Let the next request containing these bytes through, lose its answer, then reset."""
        return self._arm(Trap(after, forward=True))

    def drop_next_request(self, containing: bytes) -> Trap:
        """Reset instead of forwarding the next request that contains these bytes."""
        return self._arm(Trap(containing, forward=False))

    def lead_to(self, url: str) -> None:
        """Carry new connections to another server; those present are reset."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = (parts.hostname, parts.port)
        self.cut()

    def _arm(self, trap: Trap) -> Trap:
        if self._dialect is None:
            raise ValueError(
                f"this proxy cannot tell requests apart, so {trap.pattern!r} would never be seen;"
                " give it a dialect"
            )
        self._loop.call_soon_threadsafe(self._traps.append, trap)
        return trap

    def _command(self, step: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(COMMAND_TIMEOUT)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(
                self._serve, HOST, self.port, reuse_port=True
            )

    async def _stop_listening(self) -> None:
        if self._listener is not None:
            # asyncio forgets, and never closes, what it accepted right before its server closes.
            for listening in self._listener.sockets:
                self._loop.remove_reader(listening.fileno())
            await asyncio.sleep(0)  # what was accepted gets its transport now
            self._listener.close()
            self._listener = None

    async def _inject(self, fault: NetworkFault, directions: Iterable[Direction]) -> None:
        self._faults.update(dict.fromkeys(directions, fault))
        self._changed.set()
        self._changed = asyncio.Event()
        if not any(isinstance(now, Drop) for now in self._faults.values()):
            for link in [link for link in self._links if link.lost_something]:
                link.reset()

    async def _cut(self) -> int:
        self._cuts += 1
        links = list(self._links)
        for link in links:
            link.reset()
        return len(links)

    async def _shut(self) -> None:
        await self._stop_listening()
        # What was accepted a moment ago is no link yet: asyncio itself has it in a task.
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await self._cut()
            await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            await self._link(reader, client)
        except Exception as error:  # noqa: BLE001  raised when the proxy is left
            self._failures.append(error)

    async def _link(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        cuts = self._cuts
        try:
            answers, server = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(client)
            return
        if self._listener is None or self._cuts > cuts:
            # It was not there yet to be cut, and would go on to a server that all have left.
            _reset(client)
            _reset(server)
            return
        link = _Link(client, server, self._dialect() if self._dialect else None)
        link.pumps = [
            asyncio.create_task(self._pump(link, Direction.REQUESTS, reader, server)),
            asyncio.create_task(self._pump(link, Direction.REPLIES, answers, client)),
        ]
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def _pump(
        self,
        link: _Link,
        direction: Direction,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
    ) -> None:
        try:
            while data := await source.read(CHUNK):
                if self._may_pass(link, direction, data):
                    await self._carry(link, direction, data, sink)
        except OSError:
            await self._closing_may_pass(link, direction)
            raise
        await self._closing_may_pass(link, direction)
        sink.write_eof()

    def _may_pass(self, link: _Link, direction: Direction, data: bytes) -> bool:
        if link.dialect is None:
            return True
        if direction is Direction.REQUESTS:
            return all(
                self._request_may_pass(link, request) for request in link.dialect.requests(data)
            )
        link.unanswered -= link.dialect.answers(data)
        if link.swallowing is None:
            return True
        if link.unanswered == 0:
            link.reset()
            link.swallowing.spring()
        return False

    def _request_may_pass(self, link: _Link, request: bytes) -> bool:
        link.unanswered += 1
        trap = next((trap for trap in self._traps if trap.pattern in request), None)
        if trap is None:
            return True
        self._traps.remove(trap)
        if trap.forward:
            link.swallowing = trap
        else:
            link.reset()
            trap.spring()
        return trap.forward

    async def _carry(
        self, link: _Link, direction: Direction, data: bytes, sink: asyncio.StreamWriter
    ) -> None:
        while data:
            piece = len(data)
            match self._faults[direction]:
                case Pass():
                    pass
                case Delay(seconds):
                    await asyncio.sleep(seconds)  # the fault is the delay
                case Slow(rate):
                    piece = min(piece, max(1, rate // SLOW_PIECES_PER_SECOND))
                    await asyncio.sleep(piece / rate)  # the fault is the rate
                case Hold():
                    await self._changed.wait()
                    continue
                case Drop():
                    link.lost_something = True
                    return
                case never:
                    assert_never(never)
            sink.write(data[:piece])
            await sink.drain()
            data = data[piece:]

    async def _closing_may_pass(self, link: _Link, direction: Direction) -> None:
        while isinstance(fault := self._faults[direction], Hold | Drop):
            link.lost_something |= isinstance(fault, Drop)
            await self._changed.wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        writer.transport.abort()
