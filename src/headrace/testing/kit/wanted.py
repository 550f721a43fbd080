"""Which jobs a test expects, and what it is told where they are not there."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict

import msgspec

from headrace.errors import BadPayload, UsageError
from headrace.model.duration import Duration, parse_duration
from headrace.model.job import Job
from headrace.model.priority import parse_priority
from headrace.model.state import State
from headrace.options import refuse_unknown
from headrace.payload import MAX_RESULT, encode
from headrace.task import Task

_MOST = 20
_NEAR = timedelta(seconds=1)
_LONGEST = 100


class Expected(TypedDict, total=False):
    """What jobs must have; only what is given is looked at.

    Attributes:
        args: some of the arguments, by name: those of the job may be more, inner objects too.
        queue: where it waits, or waited.
        priority: 1 to 10, or a name.
        tenant: whose it is.
        delay: from when it was made to when it is due, within a second.
        run_at: when it is due.
        state: how it is now, such as "completed".
    """

    args: Mapping[str, object]
    queue: str
    priority: int | str
    tenant: str
    delay: Duration
    run_at: datetime
    state: State | str


class Wanted:
    """Tells what of a job is not as expected.

    Raises:
        UsageError: something is expected that no job has.
    """

    def __init__(self, task: Task[..., Any] | str | None, expected: Expected) -> None:
        refuse_unknown("expectation of a job", expected, Expected.__annotations__)
        self._expected = expected
        self._name = task.name if isinstance(task, Task) else task
        self._args = {key: _plain(value) for key, value in expected.get("args", {}).items()}
        if isinstance(task, Task):
            refuse_unknown(f'argument of "{task.name}"', self._args, _arguments_of(task))
        self._fields: dict[str, object] = {}
        as_they_are = ("queue", "tenant", "run_at")
        self._fields.update((key, value) for key, value in expected.items() if key in as_they_are)
        if "priority" in expected:
            self._fields["priority"] = parse_priority(expected["priority"])
        if "state" in expected:
            refuse_unknown("state of a job", [str(expected["state"])], list(State))
            self._fields["state"] = State(expected["state"])
        self._delay = parse_duration(expected["delay"], "delay") if "delay" in expected else None

    def __str__(self) -> str:
        """In words."""
        what = [f"{name}={value!r}" for name, value in self._expected.items()]
        whose = f'of "{self._name}"' if self._name is not None else "of any task"
        return " ".join([whose, *(["with", ", ".join(what)] if what else [])])

    def differences(self, job: Job) -> list[str]:
        """What is otherwise, in a few words each; nothing: it is one of those."""
        return list(self._differences(job))

    def _differences(self, job: Job) -> Iterator[str]:
        if self._name is not None and job.task != self._name:
            yield "task"
        for name, value in self._fields.items():
            if getattr(job, name) != value:
                yield name
        if self._delay is not None and abs(job.run_at - job.created_at - self._delay) > _NEAR:
            yield "delay"
        yield from _other("args", self._args, msgspec.json.decode(job.payload))

    def told(self, jobs: Sequence[Job]) -> str:
        """A table of jobs, the nearest to what was wanted first."""
        if not jobs:
            return "no job at all was enqueued"
        ranked = sorted(jobs, key=self._distance)
        rows: list[tuple[str, ...]] = [("task", "queue", "state", "delay", "args", "differs in")]
        rows += [self._row(job) for job in ranked[:_MOST]]
        widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
        lines = [
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        ]
        if len(ranked) > _MOST:
            lines.append(f"  and {len(ranked) - _MOST} more")
        return "enqueued, the nearest first:\n" + "\n".join(line.rstrip() for line in lines)

    def _distance(self, job: Job) -> tuple[bool, int]:
        differs = self.differences(job)
        return "task" in differs, len(differs)

    def _row(self, job: Job) -> tuple[str, ...]:
        delay = (job.run_at - job.created_at).total_seconds()
        args = bytes(job.payload).decode()
        return (
            job.task,
            job.queue,
            job.state.value,
            f"{delay:g}s" if delay > _NEAR.total_seconds() else "-",
            args if len(args) <= _LONGEST else f"{args[: _LONGEST - 3]}...",
            ", ".join(self.differences(job)) or "-",
        )


def _arguments_of(task: Task[..., Any]) -> Sequence[str]:
    return list(inspect.signature(task.fn).parameters)[task.wants_context :]


def _plain(value: object) -> object:
    """As it comes back from JSON; what has no JSON form may be something that compares itself."""
    try:
        return msgspec.json.decode(encode(value, MAX_RESULT))
    except (BadPayload, UsageError):
        return value


def _other(path: str, wanted: object, found: object) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            if key in found:
                yield from _other(f"{path}.{key}", value, found[key])
            else:
                yield f"{path}.{key}"
    elif wanted != found:
        yield path
