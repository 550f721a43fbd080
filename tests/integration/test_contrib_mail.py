"""Mail, to real servers of SMTP on loopback."""

import asyncio
import logging
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session

from headrace import Dead, Headrace, JobDead, Retry, RetryPolicy, State
from headrace.contrib import mail
from headrace.contrib.mail.addresses import read_address
from headrace.contrib.mail.message import Message, compose
from headrace.embedded.process import free_port
from headrace.mailroom.mailbox_server import MailboxServer
from headrace.task import AsyncTask
from headrace.worker.worker import Worker
from integration.hooks import certificates

SHOP = "Shop <shop@example.com>"
PASSWORD = "s3cret-of-the-server"


def letter(*to: str, **more: Any) -> Message:
    recipients = list(to or ("a@example.org",))
    return Message(to=recipients, subject="Your order, Zoë", text="Thanks.\n.\nBye", **more)


def at(server: MailboxServer, **more: Any) -> mail.Server:
    return mail.Server(server.host, server.port, security="none", **{"sender": SHOP, **more})


def sending(server: mail.Server, **more: Any) -> AsyncTask[[Message], mail.Sent]:
    """The task of an application that needs no database: it is called plainly."""
    return mail.register(Headrace("tests"), {"default": server}, **more)


def read(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=default)


async def test_a_job_sends_a_mail(app: Headrace) -> None:
    with MailboxServer() as server:
        send = mail.register(app, {"default": at(server)})
        message = letter(
            "Zoë Ä <a@example.org>",
            html="<p>Thanks.</p>",
            cc=["c@example.org"],
            bcc=["b@example.org"],
            reply_to="Desk <desk@example.com>",
            headers={"List-Unsubscribe": "<https://example.com/u>"},
        )
        job = await send.enqueue(message)
        await Worker(app, {"emails": 1}).run(burst=True)
        sent = await job.result()
        (delivery,) = server.deliveries()
    everyone = ["a@example.org", "c@example.org", "b@example.org"]
    assert sent == mail.Sent(f"<{job.id}@example.com>", everyone, {})
    assert (delivery.sender, [*delivery.recipients]) == ("shop@example.com", everyone)
    got = read(delivery.content)
    assert got["Message-ID"] == sent.message_id
    assert (got["From"], got["To"], got["Cc"]) == (SHOP, "Zoë Ä <a@example.org>", "c@example.org")
    assert (got["Subject"], got["Reply-To"]) == ("Your order, Zoë", "Desk <desk@example.com>")
    assert got["List-Unsubscribe"] == "<https://example.com/u>"
    assert got["Date"].datetime.tzinfo is not None
    assert b"b@example.org" not in delivery.content
    bodies = [part.get_content().split() for part in got.iter_parts()]
    assert bodies == [["Thanks.", ".", "Bye"], ["<p>Thanks.</p>"]]


async def test_a_mail_that_was_put_off_is_the_same_mail(app: Headrace) -> None:
    """The server answers 451 first; a mail whose Message-ID is its job's is one to its reader."""
    with MailboxServer(greylist=1) as server:
        soon = RetryPolicy(steps=(), base=RetryPolicy().base * 0)
        send = mail.register(app, {"default": at(server)}, retry=soon)
        job = await send.enqueue(letter())
        await Worker(app, {"emails": 1}).run(burst=True)
        assert (await job.result("10s")).message_id == f"<{job.id}@example.com>"
        assert (server.deferred(), server.count()) == (1, 1)
    assert (await job.refresh()).failures == 1


def test_two_runs_make_the_same_mail_but_for_its_date() -> None:
    job = uuid4()
    sender = read_address("sender", SHOP)
    when = [read(b"Date: Mon, 1 Jan 2024 10:00:00 +0000\n\n")["Date"].datetime]
    one, other = (compose(letter(), sender, job, when[0]) for _ in range(2))
    assert one.as_bytes() == other.as_bytes()


@pytest.mark.parametrize(
    ("server", "raised", "said"),
    [({"refuses": 1}, Dead, "^550 5.1.1 No such mailbox$"), ({"defers": 1}, Retry, "^451 4.7.1 ")],
)
async def test_what_the_server_says_of_all_recipients(
    server: dict[str, int], raised: type[Exception], said: str
) -> None:
    with MailboxServer(**server) as one, pytest.raises(raised, match=said):
        await sending(at(one))(letter("a@example.org", "b@example.org"))


async def test_hope_for_one_is_hope_for_all() -> None:
    with MailboxServer(greylist=1, refuses=2) as server, pytest.raises(Retry, match=r"^451"):
        await sending(at(server))(letter("a@example.org", "b@example.org"))


async def test_who_is_refused_among_others_is_told_in_the_result() -> None:
    with MailboxServer(refuses=2) as server:
        sent = await sending(at(server))(letter("a@example.org", "b@example.org"))
        (delivery,) = server.deliveries()
    assert sent.accepted == [*delivery.recipients] == ["a@example.org"]
    assert sent.refused == {"b@example.org": "550 5.1.1 No such mailbox"}


class Clerk:
    """A handler of aiosmtpd with one answer of its own."""

    def __init__(self, answer: str = "250 OK") -> None:
        self.answer = answer
        self.users: list[object] = []

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        self.users.append((session.ssl is not None, session.auth_data))
        return self.answer


def authenticate(*asked: Any) -> AuthResult:
    data = asked[-1]
    fine = data.login == b"shop" and data.password == PASSWORD.encode()
    return AuthResult(success=fine, handled=False, auth_data="shop")


@contextmanager
def smtp(clerk: Clerk, **options: Any) -> Iterator[int]:
    """The port of a server."""
    controller = Controller(clerk, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@pytest.mark.parametrize(("code", "raised"), [("452", Retry), ("552", Dead), ("421", Retry)])
async def test_what_the_server_says_of_the_content(code: str, raised: type[Exception]) -> None:
    with smtp(Clerk(f"{code} because")) as port, pytest.raises(raised, match=f"^{code} because"):
        await sending(mail.Server("127.0.0.1", port, security="none", sender=SHOP))(letter())


async def test_nobody_there() -> None:
    server = mail.Server("127.0.0.1", free_port(), security="none", sender=SHOP)
    with pytest.raises(Retry, match=r'^the server "default" was not reached: '):
        await sending(server)(letter())


async def test_who_hangs_up() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Retry, match="was not reached"):
            await sending(mail.Server("127.0.0.1", port, security="none", sender=SHOP))(letter())


async def test_a_server_that_wants_nothing_from_us_is_asked_again() -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"554 no service for you\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Retry, match="was not reached"):
            await sending(mail.Server("127.0.0.1", port, security="none", sender=SHOP))(letter())


def secured(security: str, shows: ssl.SSLContext) -> dict[str, Any]:
    """Options of aiosmtpd: a login, over TLS alone."""
    login = {"authenticator": authenticate, "auth_required": True}
    if security == "tls":
        return {**login, "ssl_context": shows, "auth_require_tls": False}
    return {**login, "tls_context": shows, "require_starttls": True}


@pytest.mark.filterwarnings("ignore:Requiring AUTH while")  # it does not see the TLS below it
@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_logins_and_certificates(security: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shows, trusts = certificates("localhost")
    clerk = Clerk()
    with smtp(clerk, **secured(security, shows)) as port:

        def server(**changes: Any) -> mail.Server:
            usual = {"host": "localhost", "user": "shop", "password": PASSWORD, "trust": trusts}
            return mail.Server(port=port, security=security, sender=SHOP, **{**usual, **changes})

        assert (await sending(server())(letter())).refused == {}
        with pytest.raises(Retry, match="refused us: 535"):
            await sending(server(password=f"{PASSWORD}-of-old"))(letter())
        with pytest.raises(Retry, match="CERTIFICATE_VERIFY_FAILED"):
            await sending(server(trust=None))(letter())
        with pytest.raises(Retry, match="CERTIFICATE_VERIFY_FAILED"):
            await sending(server(host="127.0.0.1"))(letter())
    assert len(clerk.users) == 1
    assert PASSWORD not in re.sub(r"aiosmtpd.*|mail\.log.*", "", caplog.text)


async def test_a_server_without_starttls_gets_nothing() -> None:
    clerk = Clerk()
    with smtp(clerk) as port, pytest.raises(Retry, match=r"refused us: .*STARTTLS"):
        await sending(mail.Server("127.0.0.1", port, sender=SHOP))(letter())
    assert clerk.users == []


async def test_servers_are_looked_up_when_the_job_runs(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    known: dict[str, mail.Server] = {}

    async def find(name: str) -> mail.Server | None:
        return known.get(name)

    send = mail.register(app, find, max_attempts=1)
    with MailboxServer() as server:
        job = await send.enqueue(letter(server="bulk", sender="news@example.net"))
        lost = await send.enqueue(letter())
        known["bulk"] = at(server, sender="")
        known["mute"] = at(server, sender="")
        mute = await send.enqueue(letter(server="mute"))
        await Worker(app, {"emails": 1}).run(burst=True)
        assert (await job.result()).message_id == f"<{job.id}@example.net>"
        port = str(server.port)
    with pytest.raises(JobDead, match='there is no server "default"'):
        await lost.result()
    with pytest.raises(JobDead, match='neither the mail nor the server "mute" names a sender'):
        await mute.result()
    assert (await lost.refresh()).state is State.DEAD
    assert port not in str(await sql.fetch("SELECT payload::text, error::text FROM headrace.job"))
