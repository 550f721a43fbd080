"""Values and exceptions of applications in our sentences, even those that cannot be told."""

import traceback

_LONGEST = 80


def shown(value: object) -> str:
    """A value as Python writes it, in one line of bounded length."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # noqa: BLE001 - __repr__ of the user's can fail in any way, that of int by size
        text = f"a {type(value).__qualname__} that cannot be shown"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def words(said: object) -> str:
    """What an exception, or what stands for one, says."""
    try:
        return str(said)
    except Exception as broken:  # noqa: BLE001 - as above
        return f"its text cannot be had: {type(broken).__name__} in __str__"


def stack_of(exc: BaseException) -> str:
    """Where an exception was raised: the last twenty frames of each stack."""
    return "".join(traceback.format_exception(exc, limit=-20))


def storable(text: str, most: int) -> str:
    """A text cut to so many characters, and cleaned of what JSONB cannot hold."""
    clean = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if len(clean) <= most:
        return clean
    half = most // 2
    return f"{clean[:half]}\n[...]\n{clean[-half:]}"
