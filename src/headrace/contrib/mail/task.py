"""The task that sends a mail."""

from typing import Unpack

import msgspec

from headrace import Context, Dead, Headrace
from headrace.contrib.callers import as_callers_own
from headrace.contrib.extras import need
from headrace.contrib.mail.addresses import read_address
from headrace.contrib.mail.message import Message
from headrace.contrib.mail.server import Server
from headrace.contrib.presets import EMAILS
from headrace.contrib.references import Source, look_up
from headrace.options import TaskOptions
from headrace.task import AsyncTask


class Sent(msgspec.Struct, frozen=True):
    """What became of a mail that the server took.

    Attributes:
        message_id: with its angle brackets.
        accepted: for whom it was taken.
        refused: for whom not, and what the server said: to them it was not sent, and will not be.
    """

    message_id: str
    accepted: list[str]
    refused: dict[str, str]


def register(
    app: Headrace, servers: Source[Server], **options: Unpack[TaskOptions]
) -> AsyncTask[[Message], Sent]:
    """Register the task `mail(message)`, which sends it by SMTP.

    The job holds the name of a server; host, user and password are looked up when it runs. The
    Message-ID is made of the job's id, so that a repeated run sends the same mail. A server that
    cannot be reached, a login that it refuses and its answers 4xx are tried again, by `retry`; 5xx
    ends the job. A mail that is taken for some of its recipients is sent; the result names the
    others. Send one job for each recipient where that matters.

    Args:
        app: whose task it is.
        servers: by name: a mapping, or a coroutine function that returns None for unknown ones.
        options: as in `TaskOptions`; what is not given is that of `presets.EMAILS`.

    Raises:
        UsageError: an option was refused.
        ConfigError: the extra `mail` is missing.
    """
    need("mail", "aiosmtplib")
    from headrace.contrib.mail.sending import send  # noqa: PLC0415 - who composes needs no client

    async def mail(ctx: Context, message: Message) -> Sent:
        """Send a mail; returns for whom the server took it."""
        server = await look_up("server", message.server, servers)
        sender = message.sender or server.sender
        if not sender:
            raise Dead(f'neither the mail nor the server "{message.server}" names a sender')
        return await send(message, read_address("sender", sender), server, ctx.job_id)

    as_callers_own(mail)
    made: TaskOptions = {"name": "mail", **EMAILS, **options}
    return app.task(**made)(mail)
