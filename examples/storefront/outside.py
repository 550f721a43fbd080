"""The world outside of the shop, on loopback: a mail server, and who is called over HTTP.

As the real ones they fail at times, know a request that is repeated, and send webhooks twice.
"""

import asyncio
import hmac
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from email.parser import BytesHeaderParser
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from aiosmtpd.smtp import SMTP, Envelope, Session

from headrace.contrib import webhooks

_LOOPBACK = "127.0.0.1"
# Of the new requests each so-manieth fails at first, with this status.
_TROUBLE = {"/tax": (4, 503), "/charges": (9, 429), "/parcels": (7, 500)}


class Mailbox:
    """A handler of aiosmtpd that keeps what it is sent.

    Attributes:
        received: the Message-ID of each mail, as often as it came.
        held: set once the mail is there that it was told to hold.
        go_on: to be set, so that it says that it has it.
    """

    def __init__(self, hold: int = 0) -> None:
        self.received: list[str] = []
        self.held = asyncio.Event()
        self.go_on = asyncio.Event()
        self._hold = hold
        self._seen: set[str] = set()

    async def handle_RCPT(  # noqa: N802 - names and arguments are aiosmtpd's
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        rcpt_options: list[str],  # noqa: ARG002
    ) -> str:
        """Put off the first mail to each address, as many servers do."""
        if address not in self._seen:
            self._seen.add(address)
            return "451 4.7.1 Greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        """Keep a mail; say so at once, but for the one that is held."""
        head = BytesHeaderParser().parsebytes(envelope.original_content or b"")
        self.received.append(head["Message-ID"])
        if len(self.received) == self._hold:
            self.held.set()
            await self.go_on.wait()
        return "250 OK"


class Services(ThreadingHTTPServer):
    """The payment provider, the tax office, the carrier and the partner."""

    def __init__(self, payment_secret: str, partner_secret: str, hook: str) -> None:
        super().__init__((_LOOPBACK, 0), _Service)
        self._hook = hook
        self._done: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._payment_secret = payment_secret
        self._partner = webhooks.Standard((partner_secret,))
        self._asked: defaultdict[str, set[str]] = defaultdict(set)
        self._lock = Lock()
        self._sender = ThreadPoolExecutor(2)

    @property
    def url(self) -> str:
        """Where they are."""
        return f"http://{_LOOPBACK}:{self.server_port}"

    def count(self, path: str) -> int:
        """How often something was done there: once for each idempotency key."""
        with self._lock:
            return len(self._done[path])

    def answer(self, path: str, key: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        """The status and the body of the answer to a request."""
        if path == "/partner":
            return self._partner_hears(body, headers)
        said = json.loads(body)
        with self._lock:
            new = key not in self._asked[path]
            self._asked[path].add(key)
            if new and len(self._asked[path]) % _TROUBLE[path][0] == 0:
                return _TROUBLE[path][1], {}
            new = key not in self._done[path]
            made = self._done[path].setdefault(key, f"{path[1:4]}_{len(self._done[path]) + 1}")
        if path == "/charges" and new:
            self._sender.submit(self._tell_of_payment, made, said["order"])
        return 202, {"id": made, "tax": said.get("cents", 0) * 19 // 119}

    def server_close(self) -> None:
        """Say what is to be said, then leave."""
        super().server_close()
        self._sender.shutdown()

    def _partner_hears(self, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        event = self._partner.verify(body, headers)
        with self._lock:
            self._done["/partner"][event.id] = event.type
        return 200, {}

    def _tell_of_payment(self, charge: str, order: str) -> None:
        """Each fourth one twice, as providers do; and once somebody tries it without the secret."""
        number = int(charge.rpartition("_")[2])
        event = {"id": f"evt_{order}", "type": "payment.succeeded", "data": {"order": order}}
        while self._send(event, self._payment_secret) != 200:
            time.sleep(0.2)
        if number % 4 == 0:
            self._send(event, self._payment_secret)
        if number == 1:
            self._send({**event, "id": "evt_forged"}, "a guess")

    def _send(self, event: dict[str, Any], secret: str) -> int:
        body, now = json.dumps(event).encode(), int(time.time())
        digest = hmac.new(secret.encode(), b"%d.%s" % (now, body), sha256).hexdigest()
        headers = {"Stripe-Signature": f"t={now},v1={digest}"}
        try:
            with urlopen(Request(self._hook, body, headers), timeout=10) as reply:  # noqa: S310 - ours
                status: int = reply.status
        except HTTPError as refused:
            refused.close()
            return refused.code
        return status


class _Service(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Services)
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # who sent it was killed in the middle of it
            return
        key = self.headers.get("Idempotency-Key", "")
        status, said = self.server.answer(self.path, key, body, dict(self.headers.items()))
        answer = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        pass


@asynccontextmanager
async def mail_server(mailbox: Mailbox) -> AsyncIterator[str]:
    """A real SMTP server; gives its address."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, loop=loop), _LOOPBACK, 0)
    async with server:
        yield f"{_LOOPBACK}:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def serving(server: ThreadingHTTPServer) -> AsyncIterator[None]:
    """A server of HTTP at work in a thread."""
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
