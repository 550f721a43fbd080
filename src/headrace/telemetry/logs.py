"""Logs of the standard library: readable on a terminal, JSON lines elsewhere."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

_COLOURS = {"debug": 2, "info": 32, "warning": 33, "error": 31, "critical": 31}
_DIM = 2
# What every record has; anything else was given by the caller as `extra`.
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


def configure(level: int | str = logging.INFO, stream: TextIO | None = None) -> None:
    """Send the logs of this process to `stream` (standard error), replacing earlier handlers.

    A record is one JSON object a line unless the stream is a terminal.
    """
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    readable = ReadableFormatter(colours=_wants_colours())
    handler.setFormatter(readable if stream and stream.isatty() else JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Each pool would tell of each try with its whole stack; that PostgreSQL is away, we tell.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)


class JsonFormatter(logging.Formatter):
    """One JSON object a record: time, level, logger, message, what `extra` held, and the error."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class ReadableFormatter(logging.Formatter):
    """Columns of time, level and logger, the message, then what `extra` held as name=value."""

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record."""
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
        level = record.levelname.lower()
        name = record.name.removeprefix("headrace.")
        extra = "".join(f"  {name}={value}" for name, value in _extra(record).items())
        line = (
            f"{self._in(_DIM, time)} {self._in(_COLOURS.get(level, 0), f'{level:<8}')} "
            f"{self._in(_DIM, f'{name:<11}')} {record.getMessage()}"
        )
        if extra:
            line += self._in(_DIM, extra)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line

    def _in(self, colour: int, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours else text


def _wants_colours() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}
