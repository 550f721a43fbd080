"""What a job takes of the rate limits that it is under."""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from headrace.model.job import Delivery
from headrace.model.rate import RateLimit, Use

_LONGEST = 200


def uses_of(
    limits: Iterable[RateLimit], delivery: Delivery, defaults: Mapping[str, object]
) -> tuple[Use, ...]:
    """The key and weight by which a job counts for each limit.

    `defaults` are those of the task's parameters: arguments that were left out are not in the job.
    """
    said = (delivery.headers or {}).get("limits", {})
    arguments: Mapping[str, object] | None = None
    uses = []
    for limit in limits:
        key = ""
        if limit.key is not None:
            if "key" not in said and arguments is None:
                arguments = _arguments(delivery.payload, defaults)
            key = said["key"] if "key" in said else limit.key.format_map(_Known(arguments or {}))
        uses.append(Use(limit.name, _storable(key), said.get("weight", limit.weight)))
    return tuple(uses)


class _Known(dict[str, object]):
    """A payload that does not fit its task is refused when it runs, not here."""

    def __missing__(self, name: str) -> str:
        return ""


def _arguments(payload: bytes, defaults: Mapping[str, object]) -> Mapping[str, object]:
    try:
        return {**defaults, **msgspec.json.decode(payload, type=dict[str, object])}
    except msgspec.DecodeError:
        return defaults


def _storable(key: str) -> str:
    clean = key.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if len(clean) <= _LONGEST:
        return clean
    return f"{clean[:100]}#{hashlib.sha256(clean.encode()).hexdigest()}"
