"""The budget as Markdown."""

from collections.abc import Mapping, Sequence

from benchmarks.budget.drained import Budget

_LEAST = 0.05  # microseconds a job below which a statement is not worth a line
_ASKED = """\
Microseconds of execution a job, filling the backlog included. What the server spends on parsing,
the wire and the disk comes on top."""

_SYSTEM = """\
Calls a 1,000 jobs in the worker process with all its threads, by strace, which slows them: batches
are larger than in an undisturbed run. Those made less than once a 1,000 jobs are left out."""


def as_markdown(budgets: Mapping[str, Budget], facts: Mapping[str, object]) -> str:
    """Tables of totals, of the worker's stages, and of what the servers were asked."""
    said = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items())
    totals = {name: one.totals for name, one in budgets.items()}
    stages = {name: one.worker for name, one in budgets.items() if one.worker}
    parts = [
        "# Budget of a job",
        f"`make bench-budget` wrote this.\n\n{said}",
        "## In all\n\nMicroseconds of CPU a job; the lean worker keeps no promise.",
        _side_by_side("", totals),
        "## The worker by stage\n\nMicroseconds of CPU a job, by samples of its stacks.",
        _side_by_side("stage", stages),
    ]
    system = {name: _frequent(one.system) for name, one in budgets.items()}
    if any(system.values()):
        parts += [f"## System calls of the worker\n\n{_SYSTEM}", _side_by_side("call", system)]
    for name, one in budgets.items():
        rows = [
            [f"`{asked}`", f"{cost.micros:.1f}", f"{cost.calls:.1f}"]
            for asked, cost in one.asked.items()
            if cost.micros >= _LEAST
        ]
        head = ["statement", "us a job", "calls a 1,000 jobs"]
        parts += [f"## What the servers were asked: {name}\n\n{_ASKED}", _table(head, rows)]
    return "\n\n".join(parts) + "\n"


def _frequent(calls: Mapping[str, float]) -> dict[str, float]:
    return {name: count for name, count in calls.items() if count >= 1}


def _side_by_side(what: str, columns: Mapping[str, Mapping[str, float]]) -> str:
    names = dict.fromkeys(name for column in columns.values() for name in column)
    rows = [[name, *(_number(one.get(name)) for one in columns.values())] for name in names]
    return _table([what, *columns], rows)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(row, widths) for row in [head, rule, *rows])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    aligned = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
    return f"| {' | '.join(aligned)} |"
