"""The URL of an endpoint, taken apart once, so that nobody reads it in another way."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from headrace import UsageError

_PRINTABLE = re.compile(r"[!-\[\]-~]{1,2000}")  # no space, control character or backslash
_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+")
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads.

    Attributes:
        scheme: https or http.
        host: a name or an address, without brackets.
        port: of it.
        authority: what the header Host says.
        path: with the query.
    """

    scheme: str
    host: str
    port: int
    authority: str
    path: str


def read_target(url: object) -> Target:
    """Read the URL of an endpoint.

    Raises:
        UsageError: it cannot be; the message does not show it, for it may hold a secret.
    """
    if not isinstance(url, str) or not _PRINTABLE.fullmatch(url):
        raise _refusal("is not 1 to 2,000 printable ASCII characters without a backslash")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refusal("has a host or a port that cannot be read") from None
    if parts.scheme not in _PORTS:
        raise _refusal("does not begin with https://")
    if "@" in parts.netloc:
        raise _refusal("holds a user or a password; put them into headers=")
    if not (_ADDRESS if ":" in host else _NAME).fullmatch(host):
        raise _refusal("names no host, or one that is not ASCII; write it in its xn-- form")
    bracketed = f"[{host}]" if ":" in host else host
    usual = port is None or port == _PORTS[parts.scheme]
    return Target(
        parts.scheme,
        host,
        _PORTS[parts.scheme] if port is None else port,
        bracketed if usual else f"{bracketed}:{port}",
        (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


def _refusal(why: str) -> UsageError:
    return UsageError(f'the URL of an endpoint {why}; write "https://example.com/hooks"')
