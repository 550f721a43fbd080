"""The standard library's mail policies, for messages that break its header parser and writer."""

import re
from email.policy import Compat32, EmailPolicy
from typing import Any

# Parsers of headers need time that grows with the square of the length: half a second at 8 kB.
LONGEST_PARSED_HEADER = 8_192

_MIME_FIELDS = frozenset({"content-type", "content-disposition", "content-transfer-encoding"})
_TO_SIMPLIFY = re.compile(
    r"""
    ("(?:[^"\\]|\\.)*(?:"|\\?\Z)) [^;]*  # a quoted string, and what follows
    | ((?:boundary|charset|report-type)\s*=\s*[^\s";]+) \s[^;]*  # a token, and what follows
    | (?:^|(?<=\s)) \([^()"]*\)  # a comment
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_NEEDLESS_QUOTED_PAIR = re.compile(r'\\([^"\\])')


class TolerantPolicy(EmailPolicy):
    """Reads headers as senders mean them, and never raises.

    The structured parser cuts an unquoted parameter at "=" or "/", and so loses every part of a
    message with such a boundary: MIME fields stay text, whose parameters are read piece by piece.
    """

    def header_fetch_parse(self, name: str, value: str) -> Any:  # noqa: ANN401 (as its parent)
        """Parse one header; one that breaks the parser or is too long stays plain text.

        Of a MIME field only the first LONGEST_PARSED_HEADER characters count.
        """
        if name.lower() in _MIME_FIELDS:
            return _TO_SIMPLIFY.sub(_simplified, unfold(value[:LONGEST_PARSED_HEADER]))
        if len(value) > LONGEST_PARSED_HEADER:
            return unfold(value)
        try:
            return super().header_fetch_parse(name, value)
        except Exception:  # noqa: BLE001 (hostile input makes the parser raise anything at all)
            return unfold(value)


def _simplified(found: re.Match[str]) -> str:
    """Drop comments, what follows a value, and in it backslashes that quote nothing."""
    quoted, token = found.groups()
    return token or _NEEDLESS_QUOTED_PAIR.sub(r"\1", quoted or "")


class VerbatimPolicy(Compat32):
    """Writes headers back as they were read, even where they are malformed."""

    verify_generated_headers = False

    def fold_binary(self, name: str, value: str) -> bytes:
        """Write one header without folding it anew."""
        return f"{name}: {value}\n".encode("ascii", "surrogateescape")


def unfold(value: str) -> str:
    """Remove the line breaks of a folded header (RFC 5322, 2.2.3)."""
    return value.replace("\r", "").replace("\n", "")
