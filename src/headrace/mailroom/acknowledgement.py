"""Builds the acknowledgement of a message."""

import re
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from uuid import UUID

from headrace.mailroom.message import ParsedMessage

MAILROOM_DOMAIN = "mailroom.invalid"  # a name that never resolves (RFC 2606)
MAILROOM_ADDRESS = f"clerk@{MAILROOM_DOMAIN}"
_LONGEST_SUBJECT = 200
_MOST_REFERENCES = 20
_REPLY_PREFIX = re.compile(r"(?:\s*re\s*:)+\s*", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,900}>")
_TEXT = """\
Your message has reached the mailroom.

Subject: {subject}
Attachments: {attachments}

This answer was sent by a program; nobody reads replies to it.
"""


def acknowledge(
    message: ParsedMessage, *, recipient: str, job_id: UUID, now: datetime
) -> EmailMessage:
    """Build the acknowledgement of a message.

    Args:
        message: the one to acknowledge.
        recipient: see `classify.acknowledgement_recipient`.
        job_id: of the job that sends it. The Message-ID is made of it, so that a job which runs
            twice sends the same message twice and a reader can tell.
        now: for the Date field, aware.
    """
    subject = _one_line(message.subject)
    reply = EmailMessage(policy=SMTP)
    reply["From"] = f"Mailroom <{MAILROOM_ADDRESS}>"
    reply["To"] = recipient
    reply["Subject"] = f"Re: {subject}"
    reply["Date"] = now
    reply["Message-ID"] = acknowledgement_id(job_id)
    reply["Auto-Submitted"] = "auto-replied"
    if message.message_id and _MESSAGE_ID.fullmatch(message.message_id):
        reply["In-Reply-To"] = message.message_id
    if references := _references(message):
        reply["References"] = " ".join(references)
    reply.set_content(_TEXT.format(subject=subject, attachments=len(message.attachments)))
    return reply


def acknowledgement_id(job_id: UUID) -> str:
    """Give the Message-ID of the acknowledgement that a job sends."""
    return f"<{job_id}@{MAILROOM_DOMAIN}>"


def _one_line(subject: str) -> str:
    """Make a subject that holds no line break or other control character, and no "Re:"."""
    printable = "".join(letter if letter.isprintable() else " " for letter in subject)
    return _REPLY_PREFIX.sub("", " ".join(printable.split()), count=1)[:_LONGEST_SUBJECT].strip()


def _references(message: ParsedMessage) -> list[str]:
    """Give the thread so far, its beginning and its latest part (RFC 5322, 3.6.4)."""
    thread = message.references or ((message.in_reply_to,) if message.in_reply_to else ())
    answered = (message.message_id,) if message.message_id else ()
    ids = [each for each in (*thread, *answered) if _MESSAGE_ID.fullmatch(each)]
    return ids if len(ids) <= _MOST_REFERENCES else [ids[0], *ids[1 - _MOST_REFERENCES :]]
