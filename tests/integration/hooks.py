"""An endpoint of webhooks: a real server on loopback that keeps what it is sent."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trustme

LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass
class Request:
    """What came."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """A server and what it got; `answers` are given in order, the last one again and again."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=lambda: [b"HTTP/1.1 204 No Content\r\n\r\n"])

    def answer(self, status: int, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} So", *headers, "Content-Length: 0", "", ""]
        self.answers = ["\r\n".join(lines).encode()]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            cased = {
                line.split(":")[0].lower(): line.split(": ", 1)[1] for line in head[1:] if line
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.requests.append(Request(head[0], cased, body))
            writer.write(self.answers[0] if len(self.answers) == 1 else self.answers.pop(0))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # who refuses the certificate hangs up
        finally:
            writer.close()


@asynccontextmanager
async def site(
    tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Site]:
    """One that runs."""
    one = Site()
    server = await asyncio.start_server(one.serve, host, port, ssl=tls)
    one.port = server.sockets[0].getsockname()[1]
    async with server:
        yield one


def certificates(*names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server shows for these names, and what trusts it."""
    authority = trustme.CA()
    shows = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(shows)
    trusts = ssl.create_default_context()
    authority.configure_trust(trusts)
    return shows, trusts
