"""How far a batch is, as bars on a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from headrace.mailroom.agreement import ProgressRow
from headrace.mailroom.recount import Count


class Bars:
    """The bars of one batch; nothing where standard error is no terminal."""

    def __init__(self, progress: Progress, count: Count) -> None:
        self._progress = progress
        self._stored = progress.add_task("messages read", total=count.messages)
        self._answers = progress.add_task("answers sent", total=count.acknowledgements)

    def show(self, state: ProgressRow) -> None:
        """Move the bars."""
        self._progress.update(self._stored, completed=state.stored)
        self._progress.update(self._answers, completed=state.answered)

    def report(self, sentence: str) -> None:
        """Tell what has just happened, in a line above them."""
        line = f"{datetime.now().astimezone():%H:%M:%S} {sentence}"
        self._progress.console.print(line, markup=False, soft_wrap=True)


@contextmanager
def bars(count: Count) -> Iterator[Bars]:
    """Show them within."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        yield Bars(progress, count)
