"""What comes of a request."""

from dataclasses import dataclass
from datetime import timedelta

from headrace import HeadraceError


class Unreached(HeadraceError):
    """There was no answer, or none of HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered: its body is nobody's business.

    Attributes:
        status: of HTTP.
        after: when it wants to be asked again, if it said so.
    """

    status: int
    after: timedelta | None
