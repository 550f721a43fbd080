"""Calls to services over HTTP."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from headrace import Retry
from storefront.shop import OUTSIDE

_SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    """What a service said."""

    status: int
    body: dict[str, Any]
    retry_after: str


def post(path: str, body: dict[str, Any], *, key: str) -> Answer:
    """Post JSON to a service outside; blocks.

    Args:
        path: of the service.
        body: what it is told.
        key: the same for every attempt, so that the service does it once.

    Raises:
        Retry: it was not reached, or has trouble of its own (5xx).
    """
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = Request(OUTSIDE + path, json.dumps(body).encode(), headers)  # noqa: S310 - our own URL
    try:
        with urlopen(request, timeout=_SECONDS) as reply:  # noqa: S310 - as above
            return Answer(reply.status, json.load(reply), "")
    except HTTPError as refused:
        with refused:
            if refused.code >= 500:
                raise Retry(f"{path} answered {refused.code}") from None
            return Answer(refused.code, {}, f"{refused.headers.get('Retry-After', '1')}s")
    except OSError as exc:
        raise Retry(f"{path} was not reached: {exc}") from None
