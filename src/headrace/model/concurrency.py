"""Concurrency limits: how many jobs may run at once, on all workers together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from headrace.errors import UsageError
from headrace.model.key_template import check_template, fields_of, parts_of
from headrace.model.names import check_name
from headrace.model.shown import shown

WIDEST = 1_000_000
SHARE = "fair:"
"""What the names of limits that share queues begin with."""


@dataclass(frozen=True, slots=True, init=False)
class ConcurrencyLimit:
    """How many jobs may run at once, on all workers together: `ConcurrencyLimit("reports", 5)`.

    Tasks and queues that name the same limit share it. A job that finds no seat free is blocked
    until one is: it takes no slot of a worker, and holds up no job that is not under the limit.

    Args:
        name: of the limit; the database knows it by that.
        width: how many run at once.
        key: each key has a width of its own: a text with arguments of the task in it, such as
            "{org}". The option limit_key of a job wins over it.

    Attributes:
        name: of the limit.
        width: how many seats each of its lines has.
        key: the template, or None.

    Raises:
        UsageError: one of these cannot be.
    """

    name: str
    width: int
    key: str | None

    def __init__(self, name: str, width: int, *, key: str | None = None) -> None:
        object.__setattr__(self, "name", check_name("limit", name))
        if name.startswith(SHARE):
            raise UsageError(f'limit "{name}" would be the share of a queue; choose another name')
        object.__setattr__(self, "width", check_width(width, least=1))
        object.__setattr__(self, "key", check_template(f'limit "{name}": key', key))

    @property
    def fields(self) -> frozenset[str]:
        """The arguments that its key names."""
        return fields_of(self.key)


def check_width(value: object, *, least: int = 0) -> int:
    """A width; 0 lets nothing go.

    Raises:
        UsageError: it is no whole number of the range.
    """
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= WIDEST:
        return value
    hint = " (an operator may say 0, which lets nothing start)" if least else ""
    raise UsageError(
        f"width {shown(value)} cannot be; give a whole number from {least} to {WIDEST:,}{hint}"
    )


class LineRule(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs stand in the lines of a limit: those of a task, or of a queue.

    Attributes:
        texts: what the key is made of, each followed by an argument; none for one line for all.
        arguments: their names, None where none follows.
    """

    name: str
    task: str | None = None
    queue: str | None = None
    texts: tuple[str, ...] = ()
    arguments: tuple[str | None, ...] = ()

    @classmethod
    def of(
        cls, limit: ConcurrencyLimit, *, task: str | None = None, queue: str | None = None
    ) -> "LineRule":
        """The rule by which jobs of a task, or of a queue, are under a limit."""
        texts, arguments = parts_of(limit.key)
        return cls(name=limit.name, task=task, queue=queue, texts=texts, arguments=arguments)


class LinesSaid(msgspec.Struct, frozen=True, kw_only=True):
    """What an application says of concurrency limits.

    Attributes:
        limits: widths by name.
        tasks: all tasks of the application: a rule of theirs that is not said any more goes.
        queues: those of whose limits it says something.
        rules: which jobs are under which limit.
        defaults: of arguments that keys name, by task.
        weights: of keys, by limits that share queues: their lines are as wide as width times that.
    """

    limits: Mapping[str, int]
    tasks: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    rules: tuple[LineRule, ...] = ()
    defaults: Mapping[str, Mapping[str, Any]] = {}
    weights: Mapping[str, Mapping[str, int]] = {}


class WidthSeen(NamedTuple):
    """A concurrency limit as the ledger has it.

    Attributes:
        width: of each of its lines, but for those of which an operator says another.
        overridden: an operator has set it: what applications declare of it changes nothing.
        keys: how many there are now.
        fair: it shares a queue: the width is that of a key of weight 1.
    """

    name: str
    width: int
    overridden: bool
    keys: int
    fair: bool


class LineSeen(NamedTuple):
    """One line of a concurrency limit, at this moment.

    Attributes:
        taken: jobs that run, or may run at once.
        standing: jobs that are due and wait for a seat.
    """

    key: str
    width: int
    taken: int
    standing: int
