"""Logs of the standard library: readable on a terminal, JSON lines elsewhere."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

# What every record has; anything else was given by the caller as `extra`.
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


def configure(level: int | str = logging.INFO, stream: TextIO | None = None) -> None:
    """Send the logs of this process to `stream` (standard error), replacing earlier handlers.

    A record is one JSON object a line unless the stream is a terminal.
    """
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ReadableFormatter() if stream.isatty() else JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)


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
    """Time, level and message, then what `extra` held as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record."""
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
        extra = "".join(f"  {name}={value}" for name, value in _extra(record).items())
        name = record.name.removeprefix("headrace.")
        line = f"{time} {record.levelname.lower():<7} {name}: {record.getMessage()}{extra}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}
