"""Signatures of the Standard Webhooks: secrets, and what is signed with them."""

import binascii
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256

from headrace import UsageError

_PREFIX = "whsec_"
_BYTES = 32
_LEAST, _MOST = 24, 64


def new_secret() -> str:
    """A new secret, to be kept by both sides."""
    return _PREFIX + b64encode(secrets.token_bytes(_BYTES)).decode()


def read_keys(given: Iterable[str]) -> tuple[bytes, ...]:
    """The keys of secrets.

    Raises:
        UsageError: there is none, or one is no secret; the message does not show it.
    """
    keys = tuple(_key(place, secret) for place, secret in enumerate(checked(given), 1))
    if not keys:
        raise UsageError("a webhook needs at least one secret; make one with webhooks.new_secret()")
    return keys


def checked(given: Iterable[str]) -> Iterable[str]:
    """The secrets, if they come as several.

    Raises:
        UsageError: they are one string.
    """
    if isinstance(given, str | bytes):
        raise UsageError("secrets are a tuple, the newest first; write secrets=(secret,)")
    return given


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of a message by one key."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v1," + b64encode(hmac.digest(key, signed, sha256)).decode()


def _key(place: int, secret: object) -> bytes:
    try:
        key = b64decode(str(secret).removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _LEAST <= len(key) <= _MOST:
        raise UsageError(
            f'secret {place} of a webhook is not "{_PREFIX}" and the base64 of {_LEAST} to {_MOST} '
            "bytes; make one with webhooks.new_secret()"
        )
    return key
