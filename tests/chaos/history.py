"""The history of a chaos run: each process appends lines to a file of its own, outside the system.

A line is written by one system call, so a SIGKILL leaves whole lines and at most one torn end.
"""

import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from chaos.events import AnyEvent, Event

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_encoder = msgspec.json.Encoder()
E = TypeVar("E", bound=Event)


class TornHistory(Exception):
    """A history file holds a line that is not an event, and it is not a torn last one."""


def now_ns() -> int:
    """Read the clock that all processes of this machine share and that never steps."""
    if sys.platform == "linux":
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class History:
    """Appends the events of this process to a new file in ``folder``."""

    def __init__(self, folder: Path) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._file = os.open(folder / f"{now_ns()}-{os.getpid()}.jsonl", flags, 0o644)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def append(self, event: Event) -> None:
        """Write one event with the time of this call; it survives a SIGKILL of this process."""
        stamped = msgspec.structs.replace(event, at=now_ns(), pid=os.getpid())
        line = _encoder.encode(stamped) + b"\n"
        written = os.write(self._file, line)
        if written != len(line):
            raise OSError(
                f"only {written} of {len(line)} bytes of a history line could be written;"
                " is the disk full?"
            )


def read_history(folder: Path) -> list[AnyEvent]:
    """Return the events of all processes in the order of their times.

    Raises:
        TornHistory: a line other than an unfinished last one is not an event.
    """
    events = [event for path in sorted(folder.glob("*.jsonl")) for event in _read_file(path)]
    return sorted(events, key=lambda event: event.at)


def events_of(kind: type[E], folder: Path) -> list[E]:
    """Return the events of one kind, by file; the others are not decoded.

    Asking again and again costs little, however much has happened.
    """
    begin = b'{"event":"%b"' % str(kind.__struct_config__.tag).encode()
    found: list[E] = []
    for path in sorted(folder.glob("*.jsonl")):
        if begin in (written := path.read_bytes()):
            found += [
                msgspec.json.decode(line, type=kind)
                for line in _whole(written)
                if line.startswith(begin)
            ]
    return found


def _read_file(path: Path) -> list[AnyEvent]:
    lines = _whole(path.read_bytes())
    return [_read_line(path, number, line) for number, line in enumerate(lines, start=1)]


def _whole(written: bytes) -> list[bytes]:
    # What follows the last line feed was being written when its process was killed.
    *lines, _torn = written.split(b"\n")
    return lines


def _read_line(path: Path, number: int, line: bytes) -> AnyEvent:
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise TornHistory(
            f"line {number} of {path} is not an event ({error}); a history file is written by one"
            " process only"
        ) from error
