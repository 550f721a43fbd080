"""Counts the mail at a path a second time, by rules of its own, to check the mailroom's work.

It shares no code with the first reading: files are listed with os.walk, an mbox is split line by
line, and messages are read by `second_reading`. What counts is defined in sources, parsing and
classify; here it is worked out again from that definition.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from mimetypes import MimeTypes
from pathlib import Path

from headrace.mailroom.second_reading import SecondReading, read_again

_TYPES = MimeTypes()
_MAIL_FIELDS = frozenset(
    b"from sender reply-to to cc bcc subject date message-id in-reply-to references received"
    b" return-path delivered-to mime-version content-type content-transfer-encoding".split()
)
_BINARY = frozenset(range(7)) | frozenset(range(14, 27))


@dataclass(frozen=True, slots=True)
class Count:
    """What the mailroom must have found in the end.

    Attributes:
        messages: all that are stored at the path.
        attachments: in all of them.
        bounces: messages that report on a delivery, or come from the mail system.
        acknowledgements: messages that must be answered.
    """

    messages: int
    attachments: int
    bounces: int
    acknowledgements: int


def recount(path: Path) -> Count:
    """Count the messages of a Maildir, an mbox, a folder or a file.

    Raises:
        OSError: something there cannot be read.
    """
    return _count(_contents(path))


def recount_files(files: Iterable[Path]) -> Count:
    """Count messages of which each has a file for itself.

    Raises:
        OSError: a file cannot be read.
    """
    return _count(file.read_bytes() for file in files)


def _count(contents: Iterable[bytes]) -> Count:
    messages = attachments = bounces = acknowledgements = 0
    for reading in map(read_again, contents):
        messages += 1
        attachments += reading.attachments
        bounces += reading.is_bounce
        acknowledgements += _is_answered(reading)
    return Count(messages, attachments, bounces, acknowledgements)


def _is_answered(reading: SecondReading) -> bool:
    return reading.expects_answer and reading.can_be_answered


def _contents(path: Path) -> Iterator[bytes]:
    if path.is_file():
        yield from _contents_of(path)
        return
    for root, folders, names in os.walk(path, onerror=_raise):
        folder = Path(root)
        if _holds_deliveries(folder):
            folders.clear()
            yield from (folder.joinpath(name).read_bytes() for name in names if name[0] != ".")
            continue
        in_maildir = {"cur", "new"} <= set(folders)
        folders[:] = [name for name in folders if _is_walked(folder, name, in_maildir)]
        if not in_maildir:
            for name in names:
                if name[0] != "." and folder.joinpath(name).is_file():
                    yield from _contents_of(folder / name)


def _raise(error: OSError) -> None:
    raise error


def _holds_deliveries(folder: Path) -> bool:
    beside = folder.parent
    return folder.name in {"cur", "new"} and (beside / "cur").is_dir() and (beside / "new").is_dir()


def _is_walked(folder: Path, name: str, in_maildir: bool) -> bool:  # noqa: FBT001 (a fact)
    if not in_maildir:
        return name[0] != "."
    within = folder / name
    is_subfolder = (within / "cur").is_dir() and (within / "new").is_dir()
    return name in {"cur", "new"} or (name[0] == "." and is_subfolder)


def _contents_of(file: Path) -> Iterator[bytes]:
    content = file.read_bytes()
    if not _is_mail(file.name, content[:65_536]):
        return
    if content[:5] == b"From ":
        yield from _split(content)
    else:
        yield content


def _is_mail(name: str, head: bytes) -> bool:
    lines = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").splitlines()
    for line in lines:
        if not line.strip(b" \t"):
            break
        field, colon, _ = line.partition(b":")
        if colon and field.rstrip(b" \t").lower() in _MAIL_FIELDS:
            return True
    kind, compression = _TYPES.guess_type("./" + name)
    if kind == "message/rfc822" and compression is None:
        return True
    return bool(head) and kind in {None, "text/plain"} and _BINARY.isdisjoint(head)


def _split(mbox: bytes) -> Iterator[bytes]:
    lines = mbox.splitlines(keepends=True) if b"\r" not in mbox else re.split(rb"(?<=\n)", mbox)
    all_dated = _is_dated(lines[0])
    stored: list[bytes] = []
    previous = b"\n"
    for line in lines[1:]:
        begins = line.startswith(b"From ") and (
            _is_dated(line) if all_dated else previous in {b"\n", b"\r\n"}
        )
        if begins:
            yield b"".join(stored)
            stored = []
        else:
            stored.append(line)
        previous = line
    yield b"".join(stored)


def _is_dated(line: bytes) -> bool:
    return bool(re.search(rb"\d:\d\d", line) and re.search(rb"\b\d{4}\b", line))
