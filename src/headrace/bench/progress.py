"""How far a run is, on standard error: a bar on a terminal, lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Tell = Callable[[str], None]


@contextmanager
def progress(total: int) -> Iterator[Tell]:
    """Gives what is to be told the name of each of `total` measurements as it begins."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda name: console.print(name, markup=False, highlight=False, soft_wrap=True)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=console) as bars:
        bar = bars.add_task("", total=total)
        begun = count()
        yield lambda name: bars.update(bar, description=name, completed=next(begun), refresh=True)
        bars.update(bar, description="", completed=total)
