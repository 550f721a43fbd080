"""The application: one job reads a message, another one answers it."""

import os
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any

import aiosmtplib

from headrace import Context, Dead, Headrace, Retry
from headrace.mailroom.acknowledgement import acknowledge
from headrace.mailroom.classify import acknowledgement_recipient, classify
from headrace.mailroom.message import ParsedMessage
from headrace.mailroom.parsing import parse
from headrace.mailroom.sources import RawMessage

app: Headrace = Headrace("mailroom")


async def prepare(connection: Any, source: str) -> int:  # noqa: ANN401 - a connection of asyncpg
    """Make the mailroom's tables where they are missing; returns the number of a new batch."""
    schema = files("headrace.mailroom").joinpath("schema.sql").read_text("utf-8")
    async with connection.transaction():
        await connection.execute(schema)
        batch: int = await connection.fetchval(
            "INSERT INTO mailroom.batch (source) VALUES ($1) RETURNING id", source
        )
    return batch


async def register(
    connection: Any,  # noqa: ANN401 - as above
    batch: int,
    message: RawMessage,
    *,
    delay: str = "0s",
    priority: str = "normal",
) -> None:
    """Register a message and enqueue the job that reads it: both commit, or neither."""
    digest = sha256(message.content).hexdigest()
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO mailroom.content VALUES ($1, $2) ON CONFLICT DO NOTHING",
            digest,
            message.content,
        )
        number = await connection.fetchval(
            "SELECT nextval(pg_get_serial_sequence('mailroom.message', 'id'))"
        )
        reading = read_message.options(tx=connection, delay=delay, priority=priority)
        job = await reading.enqueue(number)
        await connection.execute(
            """INSERT INTO mailroom.message (id, batch, key, sha256, job_id)
               OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5)""",
            number,
            batch,
            message.key,
            digest,
            job.id,
        )


async def forget_answered(connection: Any) -> None:  # noqa: ANN401 - as above
    """Delete what nothing is to be done about any more, of batches from over an hour ago."""
    async with connection.transaction():
        for rows in ("attachment WHERE message", "message WHERE id"):
            await connection.execute(
                f"""DELETE FROM mailroom.{rows} IN (
                        SELECT m.id FROM mailroom.message m JOIN mailroom.batch b ON b.id = m.batch
                        WHERE b.started_at < now() - interval '1 hour' AND m.stored_at IS NOT NULL
                          AND (m.answer_job IS NULL OR m.answered_at IS NOT NULL))"""  # noqa: S608
            )


@app.task(queue="reading", timeout="60s")
async def read_message(ctx: Context, number: int) -> str:
    """Parse a registered message and store what is in it; enqueue the answer where one is due.

    Everything commits together with the completion of this job, so whatever crashes and however
    often this runs, rows and answers exist once.
    """
    async with ctx.transaction() as tx:
        content = await tx.fetchval(
            """SELECT bytes FROM mailroom.message JOIN mailroom.content USING (sha256)
               WHERE id = $1""",
            number,
        )
        message = parse(content)
        kind = classify(message)
        await _store(tx, number, message, kind)
        if recipient := acknowledgement_recipient(message):
            answer = await answer_message.options(tx=tx).enqueue(number, recipient)
            await tx.execute(
                "UPDATE mailroom.message SET answer_to = $2, answer_job = $3 WHERE id = $1",
                number,
                recipient,
                answer.id,
            )
    return kind


@app.task(queue="answers", retry="mail", max_attempts=6, timeout="30s")
async def answer_message(ctx: Context, number: int, recipient: str) -> None:
    """Send the acknowledgement of a message.

    Mail cannot be taken back: a run that dies after the server took the message is repeated. The
    Message-ID is made of the job's id, so the two are one to every mail program. That it was
    answered is written in the transaction that completes this job: not if sending fails.
    """
    async with ctx.transaction() as tx:
        content = await tx.fetchval(
            """SELECT bytes FROM mailroom.message JOIN mailroom.content USING (sha256)
               WHERE id = $1""",
            number,
        )
        await tx.execute("UPDATE mailroom.message SET answered_at = now() WHERE id = $1", number)
    reply = acknowledge(
        parse(content), recipient=recipient, job_id=ctx.job_id, now=datetime.now(UTC)
    )
    host, _, port = os.environ["MAILROOM_SMTP"].rpartition(":")
    try:
        await aiosmtplib.send(reply, hostname=host, port=int(port), start_tls=False)
    except aiosmtplib.SMTPRecipientsRefused as exc:
        _steer(exc.recipients[0])
    except aiosmtplib.SMTPResponseException as exc:
        _steer(exc)


def _steer(answer: aiosmtplib.SMTPResponseException) -> None:
    """A 4xx of the server is worth another try, a 5xx is final (RFC 5321, section 4.2.1)."""
    said = f"{answer.code} {answer.message}"
    raise Retry(said) if 400 <= answer.code < 500 else Dead(said)


async def _store(tx: Any, number: int, message: ParsedMessage, kind: str) -> None:  # noqa: ANN401
    await tx.execute(
        """UPDATE mailroom.message
           SET stored_at = now(), kind = $2, message_id = $3, subject = $4, sender = $5,
               date = $6, body = $7, html = $8, charsets = $9, defects = $10
           WHERE id = $1""",
        number,
        kind,
        message.message_id,
        message.subject,
        ", ".join(message.from_),
        message.date,
        message.text,
        message.html,
        list(message.charsets),
        list(message.defects),
    )
    await tx.executemany(
        "INSERT INTO mailroom.attachment VALUES ($1, $2, $3, $4, $5, $6)",
        [
            (number, place, one.filename, one.content_type, one.sha256, one.content)
            for place, one in enumerate(message.attachments)
        ],
    )
