"""Where the mailroom speaks: sentences, and below them a page that lives, on a terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console, RenderableType
from rich.live import Live

_LINE = 10.0  # seconds from one line to the next where there is no terminal


class Screen:
    """Standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._next = time.monotonic() + _LINE

    def say(self, sentence: str) -> None:
        """A line that stays."""
        self._console.print(sentence, markup=False, soft_wrap=True)

    def report(self, sentence: str) -> None:
        """The same of something that has just happened."""
        self.say(f"{datetime.now().astimezone():%H:%M:%S} {sentence}")

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Within there is a page below the lines; it is gone afterwards."""
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def show(self, page: Callable[[tuple[int, int]], RenderableType], line: str) -> None:
        """Let the page be this, given its width and height; without a terminal now and then a line.

        Args:
            page: makes it.
            line: says the same.
        """
        if self._live is not None and self._console.is_terminal:
            self._live.update(page(self._console.size), refresh=True)
        elif time.monotonic() >= self._next:
            self._next += _LINE
            self.report(line)
