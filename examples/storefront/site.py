"""The shop's web server, as far as it is about jobs: where the payment provider sends webhooks.

It is the one of the standard library. Any framework does the same: it needs the raw body.
"""

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from headrace.contrib import webhooks
from storefront.payments import on_payment, provider


class _Requests(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        # Verified, durable and only then 200; sent again it is a duplicate, not another job.
        reply = webhooks.receive_sync(on_payment, provider, body, dict(self.headers.items()))
        answer = json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        assert isinstance(self.server, Site)
        self.server.count(reply)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        pass


class Site(ThreadingHTTPServer):
    """Answers on a free port of loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.answered: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """Where webhooks go."""
        return f"http://127.0.0.1:{self.server_port}/webhooks/payments"

    def count(self, reply: webhooks.Reply) -> None:
        """Remember what was answered."""
        told = "duplicate" if reply.body.get("duplicate") else str(reply.status)
        self.answered[told] += 1
