"""What is logged while a page covers the terminal."""

import logging
import time


class LastWords(logging.Handler):
    """Keeps the latest record, for the page to show."""

    def __init__(self) -> None:
        super().__init__()
        self._words = ""
        self._at = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self._words, self._at = record.getMessage(), time.monotonic()

    def since(self, then: float) -> str:
        """The words that came since then, in seconds of the monotonic clock; "" if none did."""
        return self._words if self._at >= then else ""
