"""The scripts of the lane, one a file in lua/, each run by its digest."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_UNFENCED = {"close", "open"}  # they change the epoch themselves


@dataclass(frozen=True, slots=True)
class Script:
    """A script's name, text and SHA-1, by which EVALSHA calls it."""

    name: str
    text: bytes
    digest: bytes


@cache
def script(name: str) -> Script:
    """The script lua/NAME.lua with the common prelude behind its first line."""
    text = _read(name)
    if name not in _UNFENCED:
        shebang, _, rest = text.partition("\n")
        text = f"{shebang}\n{_read('prelude')}{rest}"
    encoded = text.encode()
    return Script(name, encoded, hashlib.sha1(encoded, usedforsecurity=False).hexdigest().encode())


def _read(name: str) -> str:
    return files("headrace.lanes.redis").joinpath("lua", f"{name}.lua").read_text("utf-8")
