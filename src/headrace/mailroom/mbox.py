"""Splits an mbox (RFC 4155 and its relatives) into messages, byte for byte as they are stored.

A line "From ..." that bears a time and a year begins a message. Where the very first line bears
none, every line "From ..." after an empty line does. The separator and the line break before the
next one are the mbox's; all else is the message's, ">From " included, which no reader can undo
without knowing the writer.
"""

import mmap
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

_DATED = re.compile(rb"^From (?=[^\r\n]*\d:\d\d)(?=[^\r\n]*\b\d{4}\b)[^\r\n]*\r?\n?", re.MULTILINE)
_UNDATED = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\r\n]*\r?\n?")


def begins_mbox(head: bytes) -> bool:
    """Say whether a file with these first bytes is an mbox."""
    return head.startswith(b"From ")


def read_mbox(path: Path) -> Iterator[bytes]:
    """Give the messages of an mbox in order, without loading the whole file.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        separator = _DATED if _DATED.match(content) else _UNDATED
        begins = [(found.start(), found.end()) for found in separator.finditer(content)]
        for (_, begin), (end, _) in pairwise([*begins, (len(content), len(content))]):
            yield _without_framing(content[begin:end])


def _without_framing(stored: bytes) -> bytes:
    """Remove the empty line that ends each message of an mbox."""
    for framing in (b"\r\n\r\n", b"\n\n"):
        if stored.endswith(framing):
            return stored[: -len(framing) // 2]
    return stored
