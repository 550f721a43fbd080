"""What a proxy must know of PostgreSQL and Redis: where a request ends and when it is answered.

Both read clear text only; a connection that switches to TLS cannot be understood.
"""

from collections.abc import Iterator
from typing import Protocol

import hiredis

SSL_REQUEST = 80877103
GSS_ENCRYPTION_REQUEST = 80877104
CANCEL_REQUEST = 80877102
INCOMPLETE = object()


class Dialect(Protocol):
    """Follows one connection; its methods get every byte, in order, in pieces of any size."""

    def requests(self, data: bytes) -> list[bytes]:
        """Return the requests that these client bytes complete, each as searchable text."""

    def answers(self, data: bytes) -> int:
        """Return how many requests these server bytes finish answering."""


class PostgresDialect:
    """A request is a simple query, or the statements executed since the last Sync."""

    def __init__(self) -> None:
        self._from_client = bytearray()
        self._from_server = bytearray()
        self._starting = True
        self._encryption_answers_due = 0
        self._statements: dict[bytes, bytes] = {}
        self._portals: dict[bytes, bytes] = {}
        self._executed: list[bytes] = []

    def requests(self, data: bytes) -> list[bytes]:
        """Return the SQL of each request completed by these bytes; a login is an empty request."""
        self._from_client += data
        found: list[bytes] = []
        if self._starting:
            found += self._startup_packets()
        if not self._starting:
            for kind, body in _frames(self._from_client):
                found += self._message(kind, body)
        return found

    def answers(self, data: bytes) -> int:
        """Count the ReadyForQuery messages completed by these bytes."""
        self._from_server += data
        while self._encryption_answers_due and self._from_server:
            del self._from_server[0]  # the lone N that refuses encryption
            self._encryption_answers_due -= 1
        return sum(kind == b"Z" for kind, _ in _frames(self._from_server))

    def _startup_packets(self) -> Iterator[bytes]:
        buffer = self._from_client
        while self._starting and len(buffer) >= 8:
            length = int.from_bytes(buffer[:4], "big")
            if len(buffer) < length:
                return
            code = int.from_bytes(buffer[4:8], "big")
            del buffer[:length]
            if code in {SSL_REQUEST, GSS_ENCRYPTION_REQUEST}:
                self._encryption_answers_due += 1
            elif code != CANCEL_REQUEST:
                self._starting = False
                yield b""

    def _message(self, kind: bytes, body: bytes) -> list[bytes]:
        match kind:
            case b"Q":
                return [body.rstrip(b"\0")]
            case b"P":
                name, sql = body.split(b"\0", 2)[:2]
                self._statements[name] = sql
            case b"B":
                portal, statement = body.split(b"\0", 2)[:2]
                self._portals[portal] = self._statements.get(statement, b"")
            case b"E":
                self._executed.append(self._portals.get(body.split(b"\0", 1)[0], b""))
            case b"S":
                request = b"\n".join(self._executed)
                self._executed.clear()
                return [request]
            case _:
                pass
        return []


class RedisDialect:
    """A request is one command, its words joined by spaces; RESP2 and RESP3."""

    def __init__(self) -> None:
        self._from_client = hiredis.Reader(notEnoughData=INCOMPLETE)
        self._from_server = hiredis.Reader(notEnoughData=INCOMPLETE)

    def requests(self, data: bytes) -> list[bytes]:
        """Return each command completed by these bytes."""
        self._from_client.feed(data)
        found: list[bytes] = []
        while (command := self._from_client.gets()) is not INCOMPLETE:
            found.append(b" ".join(command))
        return found

    def answers(self, data: bytes) -> int:
        """Count the replies completed by these bytes; a push answers nothing."""
        self._from_server.feed(data)
        count = 0
        while (reply := self._from_server.gets()) is not INCOMPLETE:
            count += not isinstance(reply, hiredis.PushNotification)
        return count


def _frames(buffer: bytearray) -> Iterator[tuple[bytes, bytes]]:
    """Take every whole message of one type byte, four bytes of length and a body off the front."""
    start = 0
    while len(buffer) - start >= 5:
        end = start + 1 + int.from_bytes(buffer[start + 1 : start + 5], "big")
        if len(buffer) < end:
            break
        yield bytes(buffer[start : start + 1]), bytes(buffer[start + 5 : end])
        start = end
    del buffer[:start]
