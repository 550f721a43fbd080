"""A mail, as a job holds it."""

import re
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from uuid import UUID

import msgspec

from headrace import UsageError
from headrace.contrib.mail.addresses import read_address

_MOST = 100
_LONGEST_SUBJECT = 500
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,75}")
_SET_HERE = {
    *("from", "to", "cc", "bcc", "subject", "date", "message-id", "reply-to", "mime-version"),
    *("return-path", "received", "sender"),
}


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mail to be sent.

    Attributes:
        to: who gets it: "a@example.com" or "Name <a@example.com>".
        subject: one line.
        text: its plain text; `text`, `html` or both.
        html: the same for those who read that.
        sender: whom it is from; where it is empty, the server's `sender`.
        cc: who gets a copy.
        bcc: who does without the others knowing.
        reply_to: where answers go; empty: to the sender.
        headers: more of them, such as List-Unsubscribe.
        server: by which server it goes, by name.

    Raises:
        UsageError: one of them cannot be: no address, a line break in a header, nobody to get it.
    """

    to: list[str]
    subject: str
    text: str = ""
    html: str = ""
    sender: str = ""
    cc: list[str] = []
    bcc: list[str] = []
    reply_to: str = ""
    headers: dict[str, str] = {}
    server: str = "default"

    def __post_init__(self) -> None:
        """Check each value: on whichever side of the queue it is made."""
        lists = {"to": self.to, "cc": self.cc, "bcc": self.bcc}
        each = [(name, one) for name, given in lists.items() for one in given]
        single = {"sender": self.sender, "reply_to": self.reply_to}
        for name, one in [*each, *((name, one) for name, one in single.items() if one)]:
            read_address(name, one)
        if not 1 <= len(each) <= _MOST:
            raise UsageError(f"a mail goes to 1 to {_MOST} addresses, not {len(each)}; make more")
        if not (self.text or self.html):
            raise UsageError("a mail has text=, html= or both; give one of them")
        if not self.subject.isprintable() or len(self.subject) > _LONGEST_SUBJECT:
            raise UsageError(
                f"subject={self.subject!a:.200} is not one line of printable characters, "
                f"{_LONGEST_SUBJECT} at most"
            )
        _check_headers(self.headers)

    @property
    def recipients(self) -> list[str]:
        """Who gets it: the addresses alone, each once."""
        everyone = (*self.to, *self.cc, *self.bcc)
        return list(dict.fromkeys(read_address("to", one).addr_spec for one in everyone))


def compose(message: Message, sender: Address, job_id: UUID, now: datetime) -> EmailMessage:
    """The mail as it is sent: a run that is repeated sends it under the same Message-ID."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = [read_address("to", one) for one in message.to]
    if message.cc:
        mail["Cc"] = [read_address("cc", one) for one in message.cc]
    if message.reply_to:
        mail["Reply-To"] = read_address("reply_to", message.reply_to)
    mail["Subject"] = message.subject
    mail["Date"] = now
    mail["Message-ID"] = f"<{job_id}@{sender.domain}>"
    for name, value in message.headers.items():
        mail[name] = value
    if message.text:
        mail.set_content(message.text)
        if message.html:
            mail.add_alternative(message.html, subtype="html")
    else:
        mail.set_content(message.html, subtype="html")
    return mail


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not value.isprintable():
            raise UsageError(
                f"headers={{{name!a:.80}: ...}} has a name or a value that is not one line of "
                "printable characters"
            )
        if name.lower() in _SET_HERE or name.lower().startswith("content-"):
            raise UsageError(f'the header "{name}" is set for each mail; leave it out of headers=')
