"""What a run found out, as JSON and as tables of Markdown."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.growth.plan import HISTORY, PROCESSES, QUEUES, TENANTS, Plan, Point
from benchmarks.peers.tables import markdown_table, number

_TITLES = {
    QUEUES: "Queues, all served by one worker process",
    PROCESSES: "Worker processes, one queue",
    TENANTS: "Tenants of one queue",
    HISTORY: "Finished jobs in the ledger",
}
JOB = {
    "rate": "jobs/s",
    "worker_cpu": "worker CPU, us/job",
    "postgres_cpu": "PostgreSQL CPU, us/job",
    "valkey_cpu": "Valkey CPU, us/job",
    "statements": "statements/job",
    "pages": "pages/job",
    "commands": "Valkey commands/job",
    "wal": "WAL, bytes/job",
}
IDLE = {
    "idle_worker_cpu": "workers, ms CPU/s",
    "idle_postgres_cpu": "PostgreSQL, ms CPU/s",
    "idle_valkey_cpu": "Valkey, ms CPU/s",
    "idle_statements": "statements/s",
    "idle_commands": "Valkey commands/s",
    "connections": "connections",
}
_HEAD = """# What a job costs as things grow

Made by `{command}` on {date}: {processor}, {cores} cores, {memory_gb} GB, {system}, Python
{python}, PostgreSQL {postgresql}, Valkey {valkey}; load {load_before} before and {load_after}
after; {minutes} minutes. [sizing.md](../../sizing.md) says what follows.

A job is enqueued (1,000 a call), given out and completed by a handler that does nothing, with 200
bytes of arguments; all of it is counted, in PostgreSQL the insert, too. The producer, the workers
and both servers share the cores, so jobs/s says less than the costs do. Statements and pages (of 8
kB, read or written in shared buffers) are those of `pg_stat_statements`; Valkey's commands include
those inside its scripts. One process at 1,000 ms of CPU a second keeps a core busy.
"""


@dataclass(frozen=True, slots=True)
class Report:
    """A run.

    Attributes:
        plan: what was to be measured.
        facts: machine, versions, command.
        found: figures by point.
        failed: why a point has none.
    """

    plan: Plan
    facts: Mapping[str, str | int | float]
    found: dict[Point, dict[str, float]] = field(default_factory=dict)
    failed: dict[Point, str] = field(default_factory=dict)

    def as_json(self) -> str:
        """Everything."""
        document: dict[str, Any] = {
            "facts": self.facts,
            "points": [
                {
                    "mode": point.mode,
                    "dimension": point.dimension,
                    "size": point.size,
                    **{name: float(f"{value:.4g}") for name, value in figures.items()},
                }
                for point, figures in self.found.items()
            ],
            "failed": [f"{point}: {reason}" for point, reason in self.failed.items()],
        }
        return json.dumps(document, indent=1) + "\n"

    def as_markdown(self, plots: Sequence[str]) -> str:
        """Tables for people."""
        parts = [_HEAD.format(**self.facts)]
        parts += [f"![{name}]({name})\n" for name in plots]
        for dimension in self.plan.sizes:
            if jobs := self._table(dimension, JOB):
                parts.append(f"## {_TITLES[dimension]}\n\n{jobs}\n")
            if idle := self._table(dimension, IDLE):
                parts.append("Idle:\n\n" + idle + "\n")
        parts += [
            f"No figure for {point.mode}, {point.size:,} {point.dimension}: {reason}.\n"
            for point, reason in self.failed.items()
        ]
        return "\n".join(parts)

    def _table(self, dimension: str, figures: Mapping[str, str]) -> str:
        rows = [
            [f"{point.mode}, {point.size:,}", *(_shown(found, name) for name in figures)]
            for point, found in sorted(self.found.items(), key=lambda one: one[0].mode)
            if point.dimension == dimension and figures.keys() & found.keys()
        ]
        return markdown_table([f"mode, {dimension}", *figures.values()], rows) if rows else ""


def _shown(found: Mapping[str, float], name: str) -> str:
    value = found.get(name)
    if value is None:
        return "-"
    return f"{value:.3f}" if 0 < value < 0.1 else number(value)
