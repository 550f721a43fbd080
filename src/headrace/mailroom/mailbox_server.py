"""A real SMTP server on loopback that keeps what it is sent."""

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

_LOOPBACK = "127.0.0.1"
_GREYLISTED = "451 4.7.1 Greylisted, try again later"
_UNKNOWN = "550 5.1.1 No such mailbox"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that the server accepted.

    Attributes:
        sender: of the envelope.
        recipients: of the envelope.
        content: the message, its lines ended by CRLF.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes


class MailboxServer:
    """Accepts mail on a free port of loopback, from `start` to `stop`, and keeps it in memory.

    Args:
        greylist: of how many recipients the first attempt is answered with 451, "try again".
        defers: one in so many attempts is answered with 451, besides; 0: none.
        refuses: one in so many is answered with 550, "no such mailbox"; 0: none.
        keeps: how many messages it keeps, the latest; None: all.
        ponders: seconds from when it has a message until it says so.
    """

    def __init__(
        self,
        greylist: int = 0,
        *,
        defers: int = 0,
        refuses: int = 0,
        keeps: int | None = None,
        ponders: float = 0.0,
    ) -> None:
        self._clerk = _Clerk(greylist, defers, refuses, keeps, ponders)
        self._socket = socket.create_server((_LOOPBACK, 0))
        self._controller = _Controller(self._clerk, self._socket)

    @property
    def host(self) -> str:
        """The address it listens on."""
        return _LOOPBACK

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._controller.port

    @property
    def alive(self) -> bool:
        """Whether it accepts mail."""
        return self._controller.alive

    def start(self) -> None:
        """Begin to accept mail, in a thread of its own; returns once it does."""
        self._controller.start()

    def stop(self) -> None:
        """Stop accepting mail and end the thread; what came in stays readable."""
        self._controller.stop(no_assert=True)
        self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def deliveries(self) -> list[Delivery]:
        """Give what was accepted so far, in order, as far as it is kept."""
        return self._clerk.deliveries()

    def count(self) -> int:
        """Give how many messages were accepted so far."""
        return self._clerk.count()

    def pondering(self) -> int:
        """Give how many messages it has of which it has not said so."""
        return self._clerk.pondering

    def deferred(self) -> int:
        """Give how many attempts were answered with 451 so far."""
        return self._clerk.deferred()


class _Clerk:
    """The handler that aiosmtpd calls, in the server's thread."""

    def __init__(
        self, greylist: int, defers: int, refuses: int, keeps: int | None, ponders: float
    ) -> None:
        self._lock = Lock()
        self._to_greylist = greylist
        self._greylisted: set[str] = set()
        self._defers = defers
        self._refuses = refuses
        self._ponders = ponders
        self.pondering = 0
        self._attempts = 0
        self._deferred = 0
        self._accepted = 0
        self._deliveries: deque[Delivery] = deque(maxlen=keeps)

    def deliveries(self) -> list[Delivery]:
        with self._lock:
            return list(self._deliveries)

    def count(self) -> int:
        with self._lock:
            return self._accepted

    def deferred(self) -> int:
        with self._lock:
            return self._deferred

    async def handle_RCPT(  # noqa: N802 (the name is aiosmtpd's)
        self,
        server: SMTP,  # noqa: ARG002 (the arguments are aiosmtpd's)
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        rcpt_options: list[str],
    ) -> str:
        refusal = self._refusal(address)
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
    ) -> str:
        content = envelope.original_content or b""
        delivery = Delivery(envelope.mail_from or "", tuple(envelope.rcpt_tos), content)
        with self._lock:
            self._deliveries.append(delivery)
            self._accepted += 1
        self.pondering += 1
        try:
            await asyncio.sleep(self._ponders)
        finally:
            self.pondering -= 1
        return "250 OK"

    def _refusal(self, address: str) -> str | None:
        with self._lock:
            self._attempts += 1
            if self._refuses and self._attempts % self._refuses == 0:
                return _UNKNOWN
            if self._is_greylisted(address):
                self._greylisted.add(address)
            elif not self._defers or self._attempts % self._defers:
                return None
            self._deferred += 1
            return _GREYLISTED

    def _is_greylisted(self, address: str) -> bool:
        return address not in self._greylisted and len(self._greylisted) < self._to_greylist


class _Controller(Controller):
    """Listens on a socket that is bound already: the port is then known, and free for certain."""

    def __init__(self, handler: _Clerk, listener: socket.socket) -> None:
        super().__init__(handler, hostname=_LOOPBACK, port=listener.getsockname()[1])
        self._listener = listener

    @property
    def alive(self) -> bool:
        running = self._thread is not None and self._thread.is_alive()
        return running and self.server is not None and self.server.is_serving()

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        factory: Callable[[], asyncio.Protocol] = self._factory_invoker
        return self.loop.create_server(factory, sock=self._listener)
