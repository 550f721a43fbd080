"""By which server mail goes."""

import ssl
from dataclasses import dataclass, field
from typing import Literal

from headrace import UsageError
from headrace.contrib.mail.addresses import read_address

_PORTS = {"tls": 465, "starttls": 587, "none": 25}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that takes mail. What it holds is in no job.

    Attributes:
        host: its name, which its certificate must have.
        port: 465 with "tls", 587 with "starttls", 25 with "none", if it is not given.
        user: to log in as; empty: without.
        password: of the user.
        security: "starttls" (never without), "tls" from the first byte, or "none".
        sender: whom mail is from that does not say.
        trust: whom to trust instead of the system's certificate authorities.

    Raises:
        UsageError: one of them cannot be, or a password would go unencrypted.
    """

    host: str
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = ""
    trust: ssl.SSLContext | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check each value."""
        if self.security not in _PORTS:
            raise UsageError(f"security={self.security!r} must be one of {', '.join(_PORTS)}")
        if self.security == "none" and self.user:
            raise UsageError(
                f'the password for "{self.host}" would go unencrypted; use security="starttls" '
                'or "tls", or no user'
            )
        if self.sender:
            read_address("sender", self.sender)

    @property
    def place(self) -> int:
        """The port it is reached at."""
        return self.port or _PORTS[self.security]
