"""The live page: what fits on the terminal, the most telling first."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headrace.cli.lane import as_sentence
from headrace.cli.top.rates import Rates, sparkline
from headrace.cli.top.tables import (
    QUEUE_COLUMNS,
    WORKER_COLUMNS,
    Column,
    fitting,
    per_second,
    queue_row,
    relay_sentence,
    worker_row,
)
from headrace.model.fleet import Fleet
from headrace.model.inspection import QueueCounts

_GAP = 2
_HEAD = 10  # lines that are neither a queue nor a worker
_STYLES = {
    "waiting": "blue",
    "running": "cyan",
    "dead": "red",
    "busy": "cyan",
    "": "magenta",
}
_NOTHING = {"", "0"}


def page(
    title: str, queues: Sequence[QueueCounts], fleet: Fleet, rates: Rates, size: tuple[int, int]
) -> RenderableType:
    """What is known, for a terminal of so many columns and lines.

    Args:
        title: the first line.
        queues: by name.
        fleet: the processes at work.
        rates: of the queues.
        size: width and height.
    """
    width, height = size
    room = max(height - _HEAD, 4)
    workers = [worker_row(one) for one in fleet.workers]
    for_workers = min(len(workers), max(room // 3, 2))
    shown = _most_telling(queues, rates, max(room - for_workers, 2))
    rows = [queue_row(one, rates.queues.get(one.queue)) for one in shown]
    return Group(
        _line(title, "bold"),
        _line(as_sentence(fleet.lane)),
        _line(relay_sentence(fleet)),
        _speed(rates, width),
        Text(),
        _table(QUEUE_COLUMNS, rows, width, len(queues) - len(rows)),
        Text(),
        _table(WORKER_COLUMNS, workers[:for_workers], width, len(workers) - for_workers),
    )


def trouble(words: str) -> Text:
    """A sentence that takes as many lines as it needs."""
    return Text(words, style="yellow")


def _most_telling(queues: Sequence[QueueCounts], rates: Rates, room: int) -> Sequence[QueueCounts]:
    """Those that fit, by name; those with something to do before those without."""
    if len(queues) <= room:
        return queues

    def idle(one: QueueCounts) -> bool:
        rate = rates.queues.get(one.queue)
        return not (one.live or (rate is not None and any(rate)))

    chosen = sorted(queues, key=idle)[:room]  # a stable sort: still by name
    return sorted(chosen, key=lambda one: one.queue)


def _speed(rates: Rates, width: int) -> Text:
    told = f"{per_second(rates.ended)} jobs/s  "
    bars = list(rates.minute)[-max(width - len(told), 0) :]
    return _line(told).append(sparkline(bars), style="green")


def _table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, left: int
) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    places = fitting(columns, rows, width, _GAP)
    for place in places:
        column = columns[place]
        table.add_column(
            column.name,
            justify="right" if column.number else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*(_cell(columns[place].name, row[place]) for place in places))
    if left > 0:
        table.add_row(Text(f"and {left:,} more", style="dim"))
    return table


def _cell(column: str, value: str) -> Text:
    if value in _NOTHING:
        return Text(value, style="dim")
    return Text(value, style="red" if value == "silent" else _STYLES.get(column, ""))


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
