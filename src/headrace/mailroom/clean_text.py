"""Text that PostgreSQL can hold, made from whatever bytes a message brought."""

import codecs
import re

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Decoders that are no charset of mail: slow on long input, or they run escapes found in the text.
_NO_CHARSETS = frozenset(
    {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"}
)


def clean(text: str) -> tuple[str, bool]:
    """Replace what a PostgreSQL text cannot hold (NUL, lone surrogates) by U+FFFD.

    Returns:
        The text, and whether anything was replaced.
    """
    cleaned = _UNSTORABLE.sub("\ufffd", text)
    return cleaned, cleaned != text


def decode(content: bytes, charset: str | None) -> tuple[str, str | None]:
    """Decode bytes by their declared charset, else as UTF-8, else as Latin-1. Never raises.

    Returns:
        The text, and what was wrong, or None.
    """
    if charset is None:
        return _guess(content)
    codec = _codec(charset)
    if codec is None:
        return _guess(content)[0], f"unknown charset {charset[:40]!r}"
    try:
        return codec.decode(content)[0], None
    except UnicodeError:
        return _guess(content)[0], f"bytes that are not {codec.name}"


def _codec(charset: str) -> codecs.CodecInfo | None:
    try:
        codec = codecs.lookup(charset)
        "".encode(charset)  # refuses codecs that do not turn text into bytes, such as base64
    except (LookupError, ValueError):
        return None
    return None if codec.name.replace("_", "-") in _NO_CHARSETS else codec


def _guess(content: bytes) -> tuple[str, str | None]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1"), "8-bit text without a charset"
    return text, None if text.isascii() else "8-bit text without a charset"
