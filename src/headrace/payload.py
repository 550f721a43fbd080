"""Values as JSON that PostgreSQL's jsonb takes, and gives back equal.

jsonb keeps numbers by value: 1e2 comes back as 100, -0.0 as 0.0. A float of 1e22 or more comes
back as an int where the type hint leaves that open, so hint `float`.
"""

import math
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import msgspec

from headrace.errors import BadPayload

MAX_DEPTH = 64
MAX_RESULT = 256 * 1024

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}.__getitem__


def encode_hook(value: object) -> object:
    """What msgspec cannot encode itself: Pydantic models."""
    from pydantic import BaseModel  # noqa: PLC0415 - long to import, and seldom needed

    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, round_trip=True, warnings="error")
    raise TypeError(f"a {type(value).__qualname__} has no JSON form")


def decode_hook(kind: type, value: Any) -> object:  # noqa: ANN401 - any JSON value
    """What msgspec cannot decode itself: Pydantic models, and hints that say nothing.

    Raises:
        ValueError: the value does not fit, in one sentence; msgspec adds where it stands.
    """
    from pydantic import BaseModel, ValidationError  # noqa: PLC0415 - as above

    if isinstance(value, kind):
        return value
    if not issubclass(kind, BaseModel):
        raise ValueError(f"{kind.__qualname__} has no JSON form")  # noqa: TRY004 - msgspec wraps it
    try:
        return kind.model_validate_json(msgspec.json.encode(value))
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{kind.__qualname__}.{where}: {first['msg']}") from exc


_encoder = msgspec.json.Encoder(enc_hook=encode_hook)


def encode(value: object, limit: int) -> bytes:
    """JSON of a value.

    Raises:
        BadPayload: it has no JSON form, is over `limit` bytes or 64 levels deep, or contains what
            jsonb cannot keep: NUL, a lone surrogate, NaN, Infinity. The message begins with a verb.
    """
    try:
        encoded = _encoder.encode(value)
    except RecursionError:
        raise BadPayload(f"is nested over {MAX_DEPTH} levels deep; make it flatter") from None
    except UnicodeEncodeError as exc:
        raise BadPayload(
            f"contains a lone surrogate ({exc.object[exc.start]!a}), which is no text; "
            'encode the string with errors="replace" first'
        ) from exc
    except (TypeError, ValueError, OverflowError) as exc:
        why = " ".join(str(exc).split())
        raise BadPayload(
            f"cannot be stored as JSON ({why}); pass plain values, a dataclass or a Pydantic model"
        ) from exc
    _check(value, encoded, limit)
    return encoded


def _check(value: object, encoded: bytes, limit: int) -> None:
    """Whole-buffer searches, so that a usual payload costs no walk in Python."""
    if len(encoded) > limit:
        raise BadPayload(
            f"takes {len(encoded):,} bytes of JSON, over the limit of {limit:,}; "
            "store the data elsewhere and pass a reference to it"
        )
    if encoded.count(b"[") + encoded.count(b"{") > MAX_DEPTH and _depth(encoded) > MAX_DEPTH:
        raise BadPayload(f"is nested over {MAX_DEPTH} levels deep; make it flatter")
    if b"\\u0000" in encoded and _NUL.search(encoded):
        raise BadPayload(
            r"contains a NUL character (\x00), which PostgreSQL cannot keep; remove it"
        )
    # msgspec writes NaN and the infinities as null.
    if b"null" in encoded:
        bad = next((one for one in _floats(value) if not math.isfinite(one)), None)
        if bad is not None:
            raise BadPayload(f"contains {bad}, which JSON cannot express; pass None or a string")


def _depth(encoded: bytes) -> int:
    brackets = _STRING.sub(b"", encoded).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEP, brackets)), default=0)


def _floats(value: object) -> Iterator[float]:
    heap = [msgspec.to_builtins(value, enc_hook=encode_hook)]
    while heap:
        one = heap.pop()
        if isinstance(one, float):
            yield one
        elif isinstance(one, dict):
            heap.extend(one.values())
        elif isinstance(one, list | tuple | set | frozenset):
            heap.extend(one)
