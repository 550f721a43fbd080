"""Where webhooks go, and by which secrets they are signed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from headrace import UsageError
from headrace.contrib.webhooks.signing import read_keys
from headrace.contrib.webhooks.url import read_target

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[ -~]{0,4000}")
_OURS = {"host", "content-length", "content-type", "transfer-encoding", "connection"}
_METHODS = ("POST", "PUT", "PATCH")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where webhooks go. What it holds is shown nowhere: not in jobs, logs, errors or results.

    Attributes:
        url: https; plain http is taken for addresses that `register(allow=...)` names.
        secrets: by which each message is signed, the newest first; several while they are changed.
        headers: more of them, such as a token.
        method: POST, PUT or PATCH.

    Raises:
        UsageError: one of them cannot be; the message does not show it.
    """

    url: str = field(repr=False)
    secrets: Sequence[str] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: Literal["POST", "PUT", "PATCH"] = "POST"

    def __post_init__(self) -> None:
        """Check each value."""
        read_target(self.url)
        read_keys(self.secrets)
        if self.method not in _METHODS:
            raise UsageError(f"the method of an endpoint must be one of {', '.join(_METHODS)}")
        for name, value in self.headers.items():
            _check_header(name, value)


def _check_header(name: str, value: str) -> None:
    if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
        raise UsageError(
            "a header of an endpoint has a name or a value that cannot be sent; write printable "
            "ASCII, without line breaks"
        )
    if name.lower() in _OURS or name.lower().startswith("webhook-"):
        raise UsageError(f'the header "{name}" is set for each message; leave it out of headers=')
