"""What the page and the plain snapshot show of queues and workers, as cells."""

from collections.abc import Sequence
from typing import NamedTuple

from headrace.cli.output import ago
from headrace.cli.top.rates import Rate
from headrace.model.fleet import Fleet, WorkerSeen
from headrace.model.inspection import BOUND, QueueCounts


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: its heading.
        worth: of those that do not fit into a narrow terminal, the least worth goes first.
        number: it stands right.
    """

    name: str
    worth: int
    number: bool = True


QUEUE_COLUMNS = (
    Column("queue", 9, number=False),
    Column("waiting", 8),
    Column("running", 7),
    Column("scheduled", 4),
    Column("dead", 5),
    Column("in/s", 3),
    Column("out/s", 6),
    Column("oldest", 2),
    Column("", 1, number=False),
)
WORKER_COLUMNS = (
    Column("worker", 9, number=False),
    Column("busy", 8),
    Column("beat", 7),
    Column("since", 2),
    Column("queues", 1, number=False),
)


def queue_row(counts: QueueCounts, rate: Rate | None) -> tuple[str, ...]:
    """A queue, as QUEUE_COLUMNS."""
    return (
        counts.queue,
        waiting(counts),
        _bounded(counts.running),
        _bounded(counts.scheduled + counts.retryable),
        f"{counts.dead:,}",
        "" if rate is None else per_second(rate.came),
        "" if rate is None else per_second(rate.ended),
        ago(counts.oldest),
        "paused" if counts.paused else "",
    )


def worker_row(worker: WorkerSeen) -> tuple[str, ...]:
    """A worker, as WORKER_COLUMNS."""
    return (
        f"{worker.host}:{worker.pid}",
        f"{_known(worker.busy)}/{_known(worker.slots)}",
        "silent" if is_silent(worker) else f"{max(0, worker.silent):.0f}s",
        ago(worker.started_at),
        ", ".join(worker.queues),
    )


def is_silent(worker: WorkerSeen) -> bool:
    """Whether it has said nothing for so long that its jobs are about to be given to others."""
    return worker.lease is not None and worker.silent > worker.lease


def waiting(counts: QueueCounts) -> str:
    """Jobs that are due; exact beyond the bound of counting where all others are."""
    others = counts.scheduled, counts.retryable, counts.running
    if counts.available > BOUND and max(others) <= BOUND:
        return f"{max(counts.live - sum(others), BOUND):,}"
    return _bounded(counts.available)


def relay_sentence(fleet: Fleet) -> str:
    """Who fills the lane."""
    leader = next((one for one in fleet.leaders if one.role == "relay"), None)
    if leader is not None:
        where = f"{leader.host}:{leader.pid}" if leader.host else "a process of an earlier version"
        return f"relay: {where} leads"
    if any(one.role == "reaper" for one in fleet.leaders):
        return "relay: none with a lane; PostgreSQL needs none"
    return "relay: none; start a worker or `headrace relay`"


def per_second(rate: float) -> str:
    """A rate, with a decimal where it is small."""
    return f"{rate:,.1f}" if 0 < rate < 10 else f"{rate:,.0f}"


def fitting(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, gap: int
) -> list[int]:
    """The places of the columns that fit side by side; the one worth most is always there."""
    widths = [
        max(len(column.name), *(len(row[place]) for row in rows), 0)
        for place, column in enumerate(columns)
    ]
    kept = [place for place, column in enumerate(columns) if column.name or widths[place]]
    for place in sorted(kept, key=lambda place: columns[place].worth)[:-1]:
        if sum(widths[one] + gap for one in kept) - gap > width:
            kept.remove(place)
    return kept


def _known(n: int | None) -> str:
    return "?" if n is None else f"{n}"


def _bounded(n: int) -> str:
    return f"{BOUND:,}+" if n > BOUND else f"{n:,}"
