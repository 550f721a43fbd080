from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from uuid import uuid4

import aiosmtplib
import pytest

from headrace.mailroom.acknowledgement import MAILROOM_ADDRESS, acknowledge, acknowledgement_id
from headrace.mailroom.mailbox_server import MailboxServer
from headrace.mailroom.parsing import parse

LETTER = parse(b"From: a@example.org\nSubject: x\n\nhello\n")


async def send(server: MailboxServer, recipient: str) -> str:
    job_id = uuid4()
    reply = acknowledge(LETTER, recipient=recipient, job_id=job_id, now=datetime.now(UTC))
    await aiosmtplib.send(
        reply,
        sender=MAILROOM_ADDRESS,
        recipients=[recipient],
        hostname=server.host,
        port=server.port,
        start_tls=False,
    )
    return acknowledgement_id(job_id)


async def test_it_keeps_envelope_and_message() -> None:
    with MailboxServer() as server:
        message_id = await send(server, "a@example.org")
    (delivery,) = server.deliveries()
    assert (delivery.sender, delivery.recipients) == (MAILROOM_ADDRESS, ("a@example.org",))
    assert message_from_bytes(delivery.content, policy=default)["Message-ID"] == message_id
    assert server.count() == 1
    assert server.deferred() == 0


async def test_the_first_attempt_of_some_recipients_is_deferred() -> None:
    with MailboxServer(greylist=2) as server:
        for recipient in ("a@example.org", "b@example.org"):
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
                await send(server, recipient)
            assert refused.value.recipients[0].code == 451
            await send(server, recipient)
        await send(server, "c@example.org")
    assert [delivery.recipients[0][0] for delivery in server.deliveries()] == ["a", "b", "c"]
    assert server.deferred() == 2


@pytest.mark.parametrize(
    "recipient", ["prvs=1=a+b@example.org", "!#$%&'*+/=?^_`{|}~-@x", "a.b@1.example", "a@b-c.d"]
)
async def test_it_accepts_every_address_that_is_acknowledged(recipient: str) -> None:
    with MailboxServer() as server:
        await send(server, recipient)
    assert server.deliveries()[0].recipients == (recipient,)


async def test_two_servers_have_a_port_each() -> None:
    with MailboxServer() as one, MailboxServer() as other:
        await send(one, "a@example.org")
        assert one.port != other.port
        assert (one.count(), other.count()) == (1, 0)


async def test_a_stopped_server_refuses_mail() -> None:
    with MailboxServer() as server:
        await send(server, "a@example.org")
    with pytest.raises(aiosmtplib.SMTPConnectError):
        await send(server, "a@example.org")
    assert server.count() == 1


async def test_some_are_put_off_and_some_refused_and_few_kept() -> None:
    with MailboxServer(defers=3, refuses=4, keeps=2) as server:
        answers = []
        for n in range(1, 9):
            try:
                await send(server, f"{n}@example.org")
            except aiosmtplib.SMTPRecipientsRefused as exc:
                answers.append(exc.recipients[0].code)
            else:
                answers.append(250)
    assert answers == [250, 250, 451, 550, 250, 451, 250, 550]
    assert (server.count(), server.deferred()) == (4, 2)
    kept = [one.recipients for one in server.deliveries()]
    assert kept == [("5@example.org",), ("7@example.org",)]


async def test_it_says_whether_it_lives() -> None:
    server = MailboxServer()
    assert not server.alive
    server.start()
    assert server.alive
    server.stop()
    assert not server.alive
