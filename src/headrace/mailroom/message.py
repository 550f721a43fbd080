"""What the mailroom knows of one message once it is parsed."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Attachment:
    """One part of a message that is not its body text.

    Attributes:
        filename: as the sender named it, which may hold slashes; None without a name.
        content_type: lower case, such as "image/png".
        content: decoded from its transfer encoding; for message/* the attached message.
        sha256: of content, in hexadecimal.
    """

    filename: str | None
    content_type: str
    content: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """One message. No text in it holds NUL or a lone surrogate.

    Attributes:
        headers: of the message itself, in order, unfolded but not decoded.
        message_id: with its angle brackets.
        from_: the addresses of the authors, without their names.
        to: the addresses in To.
        date: aware, in UTC; None where it is missing or makes no sense.
        in_reply_to: the first message id in In-Reply-To, with its angle brackets.
        references: the message ids in References.
        text: every text/plain part of the body, joined by a line break.
        html: every text/html part of the body, likewise.
        attachments: every part that is neither a container nor body text.
        report_types: the report-type of each multipart/report, "" where it names none.
        charsets: those that text parts declare, lower case, each once.
        defects: what is wrong with the message, each once.
    """

    headers: tuple[tuple[str, str], ...]
    message_id: str | None
    subject: str
    from_: tuple[str, ...]
    to: tuple[str, ...]
    date: datetime | None
    in_reply_to: str | None
    references: tuple[str, ...]
    text: str | None
    html: str | None
    attachments: tuple[Attachment, ...]
    report_types: tuple[str, ...]
    charsets: tuple[str, ...]
    defects: tuple[str, ...]

    def header(self, name: str) -> str | None:
        """Give the first header of this name, unfolded, or None."""
        return next((value for field, value in self.headers if field.lower() == name.lower()), None)
