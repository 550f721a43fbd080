"""A mail on its way to a server, and what its answers mean for the job."""

from datetime import UTC, datetime
from email.headerregistry import Address
from uuid import UUID

import aiosmtplib

from headrace import Dead, Retry
from headrace.contrib.mail.message import Message, compose
from headrace.contrib.mail.server import Server
from headrace.contrib.mail.task import Sent

# What a server says of us, not of the mail: somebody mends it while the job waits.
_OF_US = (aiosmtplib.SMTPAuthenticationError, aiosmtplib.SMTPHeloError)
_AWAY = (aiosmtplib.SMTPConnectError, aiosmtplib.SMTPServerDisconnected, TimeoutError, OSError)


async def send(message: Message, sender: Address, server: Server, job_id: UUID) -> Sent:
    """Send a mail.

    Raises:
        Retry: it may be taken later.
        Dead: it will not be.
    """
    mail = compose(message, sender, job_id, datetime.now(UTC))
    recipients = message.recipients
    try:
        refused, _ = await aiosmtplib.send(
            mail,
            sender=sender.addr_spec,
            recipients=recipients,
            hostname=server.host,
            port=server.place,
            username=server.user or None,
            password=server.password or None,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=server.trust,
        )
    except aiosmtplib.SMTPRecipientsRefused as exc:
        answers = sorted(exc.recipients, key=lambda one: one.code)  # a 4xx leaves hope for all
        raise _judged(answers[0].code, answers[0].message) from None
    except _AWAY as exc:
        raise Retry(f'the server "{message.server}" was not reached: {exc}') from None
    except aiosmtplib.SMTPResponseException as exc:
        if not isinstance(exc, _OF_US):
            raise _judged(exc.code, exc.message) from None
        raise Retry(f'the server "{message.server}" refused us: {exc.code} {exc.message}') from None
    except aiosmtplib.SMTPException as exc:
        raise Retry(f'the server "{message.server}" refused us: {exc.message}') from None
    return Sent(
        str(mail["Message-ID"]),
        [one for one in recipients if one not in refused],
        {one: f"{answer.code} {answer.message}" for one, answer in refused.items()},
    )


def _judged(code: int, words: str) -> Retry | Dead:
    """A 4xx is worth another try, a 5xx is final (RFC 5321, section 4.2.1)."""
    said = f"{code} {words}"
    return Retry(said) if 400 <= code < 500 else Dead(said)
