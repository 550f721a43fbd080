"""Tells mail from other files by the first bytes and the name."""

import re
from mimetypes import MimeTypes

HEAD_SIZE = 65_536
_FIELD = re.compile(
    rb"^(?:From|Sender|Reply-To|To|Cc|Bcc|Subject|Date|Message-ID|In-Reply-To|References|Received"
    rb"|Return-Path|Delivered-To|MIME-Version|Content-Type|Content-Transfer-Encoding)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_END_OF_HEADER = re.compile(rb"(?:\r\n|\r|\n)[ \t]*(?:\r\n|\r|\n)")
_NOT_TEXT = re.compile(rb"[\x00-\x06\x0e-\x1a]")
_TYPES = MimeTypes()  # its own table, not this machine's


def why_not_mail(name: str, head: bytes) -> str | None:
    """Say why a file is taken for something else than a message, or None if it is one.

    Args:
        name: of the file.
        head: its first HEAD_SIZE bytes, or all of it.
    """
    kind, compression = _TYPES.guess_type(f"./{name}")  # "./", lest a colon make it a URL
    header = _END_OF_HEADER.split(head.lstrip(b"\xef\xbb\xbf\r\n"), maxsplit=1)[0]
    if (kind == "message/rfc822" and not compression) or _FIELD.search(header):
        return None
    if not head:
        return "is empty"
    if _NOT_TEXT.search(head):
        return "is binary and has no mail header"
    if kind not in {None, "text/plain"}:
        return f"is named as {kind} and has no mail header"
    return None
