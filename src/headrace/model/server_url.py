"""The URL of a server: what is wrong with it, in words that repeat nothing of its password."""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from headrace.errors import ConfigError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_ENCODE = "percent-encode / ? # @ [ and ] in its password, as %2F %3F %23 %40 %5B and %5D"


class Form(NamedTuple):
    """How the URLs of one kind of server look.

    Attributes:
        what: names such a URL in messages.
        schemes: those that are taken.
        example: a URL.
    """

    what: str
    schemes: tuple[str, ...]
    example: str

    def refusal(self, why: str) -> ConfigError:
        """The sentence that says why and how to write it."""
        return ConfigError(f"{self.what} {why}; write {self.example}")


def read_server_url(url: str, form: Form) -> SplitResult:
    """The parts of a URL.

    Raises:
        ConfigError: its scheme is another one, its port cannot be, or its password is not encoded.
    """
    scheme, colon, _ = url.partition("://")
    if not (colon and _SCHEME.fullmatch(scheme)):
        raise form.refusal("names no scheme")
    if scheme not in form.schemes:
        *others, last = (f"{one}://" for one in form.schemes)
        raise form.refusal(f"begins with {scheme!r}, not with {', '.join(others)} or {last}")
    try:
        parts = urlsplit(url)
    except ValueError:  # of brackets, and of letters that look like those of a URL
        raise form.refusal(f"cannot be read: {_ENCODE}") from None
    if _password_leaks_out(parts):
        raise form.refusal(f"cannot be read: {_ENCODE}")
    _check_port(parts, form)
    return parts


def _password_leaks_out(parts: SplitResult) -> bool:
    """Whether an @ stands behind the host, so that what seems to be the host is a password."""
    behind = parts.path + parts.fragment
    if not parts.path:
        behind += parts.query
    return "@" in behind or parts.netloc.count("@") > 1


def _check_port(parts: SplitResult, form: Form) -> None:
    try:
        possible = parts.port != 0
    except ValueError:
        possible = False
    if possible:
        return
    _, at, place = parts.netloc.rpartition("@")
    port = place.rpartition("]")[2].partition(":")[2]
    # Without user and host, what stands behind the colon may be the password.
    named = f"names the port {port!r}, which" if at else "names a port that"
    raise form.refusal(f"{named} is no number from 1 to 65535")
