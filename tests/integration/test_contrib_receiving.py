"""Incoming webhooks, by HTTP, into a real ledger."""

import asyncio
import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import asyncpg
import psycopg
import pytest

from headrace import Headrace, UsageError
from headrace.contrib import webhooks
from headrace.embedded import EmbeddedPostgres
from headrace.ledger.migrate import migrate
from headrace.worker.worker import Worker
from integration.hooks import LOOPBACK, site

SECRET, OTHER = webhooks.new_secret(), webhooks.new_secret()
PLAIN = "it is a s3cret"
BODY = json.dumps({"id": "evt_1", "type": "paid", "data": {"by": "Zoë"}}, indent=1).encode()
Headers = dict[str, str]


def standard(
    body: bytes = BODY, *, at: float = 0, by: str = SECRET, told: str = "msg_1"
) -> Headers:
    stamp = int(time.time() + at)
    key = b64decode(by.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{told}.{stamp}.".encode() + body, "sha256")
    signature = f"v1,{b64encode(b'x' * 32).decode()} v1,{b64encode(digest).decode()}"
    return {"Webhook-Id": told, "Webhook-Timestamp": str(stamp), "Webhook-Signature": signature}


def stripe(body: bytes = BODY, *, at: float = 0, by: str = PLAIN) -> Headers:
    stamp = int(time.time() + at)
    digest = hmac.new(by.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
    return {"Stripe-Signature": f"t={stamp}, v1={'0' * 64}, v1={digest}, v0=old"}


def github(body: bytes = BODY, *, by: str = PLAIN) -> Headers:
    digest = hmac.new(by.encode(), body, "sha256").hexdigest()
    named = {"X-GitHub-Delivery": "72d3162e", "X-GitHub-Event": "push"}
    return {"X-Hub-Signature-256": f"sha256={digest}", **named}


SCHEMES: list[tuple[webhooks.Scheme, Callable[..., Headers], webhooks.Event]] = [
    (
        webhooks.Standard((OTHER, SECRET)),
        standard,
        webhooks.Event("msg_1", "paid", json.loads(BODY)),
    ),
    (
        webhooks.Stripe(("another", PLAIN)),
        stripe,
        webhooks.Event("evt_1", "paid", json.loads(BODY)),
    ),
    (
        webhooks.GitHub(("another", PLAIN)),
        github,
        webhooks.Event("72d3162e", "push", json.loads(BODY)),
    ),
]
each = pytest.mark.parametrize(
    ("scheme", "signed", "event"), SCHEMES, ids=["standard", "stripe", "github"]
)
Inbox = Any


@pytest.fixture
def inbox(app: Headrace) -> Inbox:
    @app.task(queue="hooks")
    async def handle(event: webhooks.Event) -> list[object]:
        return [event.id, event.type, event.data]

    return handle


async def jobs(sql: asyncpg.Connection) -> int:
    count: int = await sql.fetchval("SELECT count(*) FROM headrace.job")
    return count


@each
async def test_an_event_is_one_job_however_often_it_comes(
    scheme: webhooks.Scheme,
    signed: Callable[..., Headers],
    event: webhooks.Event,
    inbox: Inbox,
    app: Headrace,
    sql: asyncpg.Connection,
) -> None:
    first = await webhooks.receive(inbox, scheme, BODY, signed())
    assert first.status == 200
    assert await jobs(sql) == 1  # before the sender hears of it
    again = await webhooks.receive(inbox, scheme, BODY, signed())
    assert again == webhooks.Reply(200, {"received": True, "duplicate": True})
    assert await jobs(sql) == 1
    await Worker(app, {"hooks": 1}).run(burst=True)
    job = await app.get(first.body["job"])
    assert await job.result() == [event.id, event.type, event.data]


@each
def test_an_event_is_read(
    scheme: webhooks.Scheme, signed: Callable[..., Headers], event: webhooks.Event
) -> None:
    assert scheme.verify(BODY, signed()) == event
    assert scheme.verify(BODY, {name.upper(): value for name, value in signed().items()}) == event


@each
async def test_what_is_not_what_it_says_is_refused_and_enqueues_nothing(
    scheme: webhooks.Scheme,
    signed: Callable[..., Headers],
    event: webhooks.Event,  # noqa: ARG001 - of the table
    inbox: Inbox,
    sql: asyncpg.Connection,
) -> None:
    good = signed()
    forged: list[tuple[bytes, Headers]] = [
        (BODY, {}),
        (BODY + b" ", good),
        (BODY.replace(b"evt_1", b"evt_2"), good),
        (BODY, signed(by=webhooks.new_secret())),
        (b"no JSON", signed(b"no JSON")),
        (b"[" * 100_000, signed(b"[" * 100_000)),
    ]
    values = ("", "x", "ä", "v1,", "sha256=", "t=,v1=", "t=1,v1=ä", f"t={9**99},v1=0")
    signing = [name for name in good if name != "X-GitHub-Event"]  # which nobody signs
    forged += [(BODY, {**good, name: value}) for name in signing for value in values]
    if isinstance(scheme, webhooks.GitHub):  # which does not sign the id either
        forged = [(body, headers) for body, headers in forged if not _has_id(body, headers)]
    for body, headers in forged:
        reply = await webhooks.receive(inbox, scheme, body, headers)
        assert reply.status == 400, (body, headers)
    assert await jobs(sql) == 0


def _has_id(body: bytes, headers: Headers) -> bool:
    return body == BODY and headers.get("X-GitHub-Delivery", "") not in {"", "72d3162e", "ä"}


@pytest.mark.parametrize(("scheme", "signed", "event"), SCHEMES[:2])
@pytest.mark.parametrize(("at", "fine"), [(-290, True), (290, True), (-310, False), (310, False)])
def test_what_is_too_old_or_of_the_future(
    scheme: webhooks.Scheme,
    signed: Callable[..., Headers],
    event: webhooks.Event,
    at: float,
    *,
    fine: bool,
) -> None:
    headers = signed(at=at)
    if fine:
        assert scheme.verify(BODY, headers) == event
    else:
        with pytest.raises(webhooks.Unverified, match="too far from now"):
            scheme.verify(BODY, headers)


@pytest.mark.parametrize("told", ["", "a b", "x" * 257, "a\nb"])
def test_an_id_that_cannot_be_a_key(told: str) -> None:
    with pytest.raises(webhooks.Unverified, match="no id of 1 to 256"):
        webhooks.Standard((SECRET,)).verify(BODY, standard(told=told))


@pytest.mark.parametrize("kind", [webhooks.Stripe, webhooks.GitHub])
@pytest.mark.parametrize("secrets", [(), ("",), ("fine", ""), "a string"])
def test_no_secret_is_no_proof(kind: Any, secrets: Any) -> None:
    with pytest.raises(UsageError, match="secret"):
        kind(secrets)


async def test_what_one_application_sends_another_receives_once(
    inbox: Inbox, app: Headrace, sql: asyncpg.Connection
) -> None:
    async with site() as there:
        url = f"http://127.0.0.1:{there.port}/"
        known = {"other": webhooks.Endpoint(url, (SECRET, OTHER))}
        deliver = webhooks.register(app, known, allow=LOOPBACK)
        sent = await deliver.enqueue("other", {"type": "order.paid", "data": 17})
        await Worker(app, {"webhooks": 1}).run(burst=True)
        (got,) = there.requests
    for scheme in (webhooks.Standard((OTHER,)), webhooks.Standard((SECRET,))):
        assert (await webhooks.receive(inbox, scheme, got.body, got.headers)).status == 200
    keys = await sql.fetch("SELECT * FROM headrace.job WHERE task = 'handle'")
    assert len(keys) == 1
    assert str(sent.id) in str(keys)


@contextmanager
def web(inbox: Inbox) -> Iterator[int]:
    """The port of a web server without an event loop, each request in a thread of its own."""
    scheme = webhooks.Stripe((PLAIN,))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = webhooks.receive_sync(inbox, scheme, body, dict(self.headers.items()))
            self.send_response(reply.status)
            self.end_headers()
            self.wfile.write(json.dumps(reply.body).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def post(port: int, body: bytes, headers: Headers) -> tuple[int, dict[str, Any]]:
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told


def test_who_is_told_200_is_kept_and_who_is_told_503_sends_it_again(
    postgres: EmbeddedPostgres,
) -> None:
    asyncio.run(migrate(postgres.url))
    app = Headrace("tests", database_url=postgres.url)
    later = BODY.replace(b"evt_1", b"evt_2")

    @app.task(queue="hooks")
    def handle(event: webhooks.Event) -> None: ...

    with web(handle) as port:
        postgres.kill()
        assert post(port, BODY, stripe())[0] == 503
        postgres.start()
        status, told = post(port, BODY, stripe())
        assert (status, told["received"]) == (200, True)
        assert post(port, BODY, stripe()) == (200, {"received": True, "duplicate": True})
        assert post(port, later, stripe())[0] == 400
        assert post(port, later, stripe(later))[0] == 200
    app.stop_sync()
    with psycopg.connect(postgres.url) as connection:
        found = connection.execute("SELECT id::text FROM headrace.job ORDER BY id").fetchall()
    assert len(found) == 2
    assert found[0] == (told["job"],)
