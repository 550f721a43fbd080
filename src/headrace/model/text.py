"""Texts of callers that PostgreSQL is to keep."""

from headrace.errors import UsageError
from headrace.model.shown import shown

_LONGEST = 500


def check_text(name: str, value: object, *, least: int = 0) -> str:
    """Return the text.

    Raises:
        UsageError: it is none, too long or too short, or PostgreSQL cannot keep it.
    """
    if not isinstance(value, str):
        raise UsageError(f"{name}={shown(value)} must be a string")
    if not least <= len(value) <= _LONGEST:
        raise UsageError(f"{name} has {len(value)} characters; give {least} to {_LONGEST}")
    if "\0" in value or (not value.isascii() and _has_surrogate(value)):
        raise UsageError(
            f"{name}={value!a} contains a NUL or a lone surrogate, which PostgreSQL cannot keep"
        )
    return value


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
