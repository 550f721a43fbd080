"""What commands print: tables that align, or one JSON document. Only tables need rich."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Timer
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_GAP = 2
_LEAST = 20  # of the last column, however narrow the terminal is
_WIDE = 100_000  # a pipe is as wide as what goes through it
_STYLES = {
    "ok": "green",
    "done": "green",
    "completed": "green",
    "running": "cyan",
    "available": "blue",
    "scheduled": "blue",
    "retryable": "yellow",
    "warn": "yellow",
    "busy": "yellow",
    "blocked": "magenta",
    "paused": "magenta",
    "dead": "red",
    "fail": "red",
    "missing": "red",
    "cancelled": "dim",
}


def print_json(document: object) -> None:
    """One JSON document, indented on a terminal."""
    encoded = msgspec.json.encode(document)
    if sys.stdout.isatty():
        encoded = msgspec.json.format(encoded, indent=2)
    print(encoded.decode())  # noqa: T201 - the program speaks


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[str] = ()
) -> None:
    """A table; columns named in `numbers` stand right.

    The last column is cut at the terminal's edge. The others are not: on a narrow terminal the
    lines go on below, which is better than to leave out what was asked for.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    console = _console()
    cells = [[_one_line(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    room = max(console.width - sum(widths[:-1]) - _GAP * (len(widths) - 1), _LEAST)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    right = set(numbers)
    for column, width in zip(columns, [*widths[:-1], min(widths[-1], room)], strict=True):
        table.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=width,
        )
    for row in cells:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    console.width = _WIDE
    _print(table, console)


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, a line each."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, Text(value, style=_STYLES.get(value, "")))
    _print(table, _console())


def say(sentence: str) -> None:
    """A line for a person."""
    print(sentence)  # noqa: T201 - the program speaks


def say_changed(
    noun: str, name: str, changed: bool, words: tuple[str, str], *, as_json: bool
) -> None:
    """What became of what has a name, in the words for a change or for none."""
    if as_json:
        print_json({noun: name, "changed": changed})
    else:
        say(f"{noun} {name} {words[0] if changed else words[1]}")


def note(sentence: str) -> None:
    """A line for a person that does not belong to the answer."""
    print(sentence, file=sys.stderr)  # noqa: T201 - the program speaks


@contextmanager
def noting_if_it_lasts(sentence: str, seconds: float = 1.0) -> Iterator[None]:
    """Note the sentence if what is done within takes longer."""
    timer = Timer(seconds, note, [sentence])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def at(time: datetime | None) -> str:
    """A time in the local zone, or nothing."""
    return "" if time is None else f"{time.astimezone():%Y-%m-%d %H:%M:%S}"


def ago(time: datetime | None) -> str:
    """How long ago, in the largest unit that fits."""
    if time is None:
        return ""
    seconds = max(0, int((datetime.now(UTC) - time).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _console() -> "Console":
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    return console


def _print(table: "Table", console: "Console") -> None:
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())  # noqa: T201 - the program speaks


def _one_line(cell: str) -> str:
    return " ".join(cell.split()) if "\n" in cell else cell
