"""How senders sign their webhooks, and how that is verified."""

import hmac
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from headrace import HeadraceError, UsageError
from headrace.contrib.webhooks.event import Event
from headrace.contrib.webhooks.signing import checked, read_keys, sign

_TOLERANCE = timedelta(minutes=5)
_DIGITS = re.compile(r"[0-9]{1,12}")
_ID = re.compile(r"[!-~]{1,256}")
_MOST_SIGNATURES = 20


class Unverified(HeadraceError):
    """A webhook is not what it says, or too old."""


class Scheme(Protocol):
    """How one sender signs.

    Attributes:
        name: of the sender; the keys of its events begin with it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - the class names the attribute

    def verify(self, body: bytes, headers: Mapping[str, str]) -> Event:
        """The event, if its signature is good.

        Args:
            body: as it came, byte by byte.
            headers: in any case.

        Raises:
            Unverified: it is not.
        """


@dataclass(frozen=True, slots=True)
class Standard:
    """The Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,...`.

    Attributes:
        secrets: any of which may have signed.
        name: of the sender.
        tolerance: how far its clock may be from ours.

    Raises:
        UsageError: a secret is none.
    """

    secrets: Sequence[str] = field(repr=False)
    name: str = "webhook"
    tolerance: timedelta = _TOLERANCE

    def __post_init__(self) -> None:
        """Check the secrets."""
        read_keys(self.secrets)

    def verify(self, body: bytes, headers: Mapping[str, str]) -> Event:
        """As `Scheme.verify`."""
        said = _lowered(headers)
        told, timestamp = said.get("webhook-id", ""), said.get("webhook-timestamp", "")
        moment = _fresh(timestamp, self.tolerance)
        _match(
            (sign(key, told, moment, body) for key in read_keys(self.secrets)),
            said.get("webhook-signature", "").split(" "),
        )
        data = _read(body)
        return Event(_checked_id(told), _text(data, "type"), data)


@dataclass(frozen=True, slots=True)
class Stripe:
    """`Stripe-Signature: t=...,v1=...`, as Stripe and others sign; the id is that of the body.

    Attributes:
        secrets: any of which may have signed.
        name: of the sender.
        tolerance: how far its clock may be from ours.

    Raises:
        UsageError: a secret is none.
    """

    secrets: Sequence[str] = field(repr=False)
    name: str = "stripe"
    tolerance: timedelta = _TOLERANCE

    def __post_init__(self) -> None:
        """Check the secrets."""
        _plain_keys(self.secrets)

    def verify(self, body: bytes, headers: Mapping[str, str]) -> Event:
        """As `Scheme.verify`."""
        parts = [
            part.strip().partition("=")
            for part in _lowered(headers).get("stripe-signature", "").split(",")
        ]
        timestamp = next((value for name, _, value in parts if name == "t"), "")
        signed = b"%d.%s" % (_fresh(timestamp, self.tolerance), body)
        _match(
            (hmac.new(key, signed, sha256).hexdigest() for key in _plain_keys(self.secrets)),
            [value for name, _, value in parts if name == "v1"],
        )
        data = _read(body)
        return Event(_checked_id(_text(data, "id")), _text(data, "type"), data)


@dataclass(frozen=True, slots=True)
class GitHub:
    """`X-Hub-Signature-256: sha256=...`, as GitHub and others sign.

    It signs neither a time nor the id: who has got hold of one message can send it again under
    another id. Do nothing that must not be repeated for such an event.

    Attributes:
        secrets: any of which may have signed.
        name: of the sender.

    Raises:
        UsageError: a secret is none.
    """

    secrets: Sequence[str] = field(repr=False)
    name: str = "github"

    def __post_init__(self) -> None:
        """Check the secrets."""
        _plain_keys(self.secrets)

    def verify(self, body: bytes, headers: Mapping[str, str]) -> Event:
        """As `Scheme.verify`."""
        said = _lowered(headers)
        _match(
            (f"sha256={hmac.new(k, body, sha256).hexdigest()}" for k in _plain_keys(self.secrets)),
            [said.get("x-hub-signature-256", "")],
        )
        told = _checked_id(said.get("x-github-delivery", ""))
        return Event(told, said.get("x-github-event", ""), _read(body))


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _plain_keys(given: Iterable[str]) -> tuple[bytes, ...]:
    keys = tuple(secret.encode() for secret in checked(given))
    if not keys or not all(keys):
        raise UsageError("a webhook needs at least one secret, and none that is empty")
    return keys


def _fresh(timestamp: str, tolerance: timedelta) -> int:
    if not _DIGITS.fullmatch(timestamp):
        raise Unverified("the webhook has no timestamp")
    moment = int(timestamp)
    if abs(time.time() - moment) > tolerance.total_seconds():
        raise Unverified("the timestamp of the webhook is too far from now")
    return moment


def _match(expected: Iterable[str], given: Sequence[str]) -> None:
    """Compare all with all, each in constant time."""
    said = [one.encode("utf-8", "replace") for one in given[:_MOST_SIGNATURES]]
    good = [hmac.compare_digest(one.encode(), other) for one in expected for other in said]
    if not any(good):
        raise Unverified("the signature of the webhook is not that of its secret")


def _checked_id(told: str) -> str:
    if not _ID.fullmatch(told):
        raise Unverified("the webhook has no id of 1 to 256 printable characters")
    return told


def _read(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise Unverified("the body of the webhook is no JSON") from None


def _text(data: object, name: str) -> str:
    value: object = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, str) else ""
