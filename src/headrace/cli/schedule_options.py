"""The options that say when a schedule ticks and what it makes, as commands take them."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.model.schedule import Template
    from headrace.model.timing_options import TimingOptions

_NONE = "none"

Cron = Annotated[
    str | None, typer.Option(metavar="EXPRESSION", help='Such as "0 3 * * *", or "@daily".')
]
Every = Annotated[str | None, typer.Option(metavar="DURATION", help='Such as "15m".')]
Zone = Annotated[
    str | None, typer.Option("--tz", metavar="ZONE", help='Of --cron, such as "Europe/Berlin".')
]
Start = Annotated[
    str | None, typer.Option(metavar="TIME", help="No tick before, as 2026-01-31T08:00Z.")
]
End = Annotated[str | None, typer.Option(metavar="TIME", help="No tick after.")]
Most = Annotated[str | None, typer.Option("--limit", metavar="N", help="So many ticks in all.")]
Jitter = Annotated[
    str | None, typer.Option(metavar="DURATION", help="Jobs are due up to so much later.")
]
CatchUp = Annotated[
    str | None,
    typer.Option("--catch-up", metavar="POLICY", help='For missed ticks: skip, last or "all(N)".'),
]
Arguments = Annotated[
    str | None, typer.Argument(metavar="JSON", help="Arguments of its jobs by name.")
]
Queue = Annotated[
    str | None, typer.Option("--queue", "-q", metavar="NAME", help="Another queue than the task's.")
]
PriorityName = Annotated[
    str | None, typer.Option("--priority", metavar="PRIORITY", help="1 to 10, or high, low ...")
]
Attempts = Annotated[
    int | None, typer.Option("--max-attempts", metavar="N", help="Runs of each job in all.")
]
TenantName = Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Whose jobs.")]


def timing_options(**given: str | None) -> "TimingOptions":
    """What `read_timing` takes; "none" takes an option back.

    Raises:
        UsageError: a time or a number cannot be read.
    """
    said: Any = {
        name: None if value == _NONE else _READERS.get(name, str)(value)
        for name, value in given.items()
        if value is not None
    }
    options: TimingOptions = said
    return options


def job_template(
    *,
    arguments: str | None,
    queue: str | None,
    priority: str | None,
    max_attempts: int | None,
    tenant: str | None,
) -> "Template":
    """What is said of the jobs of a schedule.

    Raises:
        UsageError: a value cannot be.
    """
    from headrace.model.attempts import check_attempts
    from headrace.model.names import check_name
    from headrace.model.priority import parse_priority

    said: Template = {}
    if arguments is not None:
        said["args"] = _object(arguments)
    if queue is not None:
        said["queue"] = check_name("queue", queue)
    if priority is not None:
        said["priority"] = parse_priority(int(priority) if priority.isdecimal() else priority)
    if max_attempts is not None:
        said["max_attempts"] = check_attempts(max_attempts)
    if tenant is not None:
        said["tenant"] = tenant
    return said


def _object(text: str) -> dict[str, Any]:
    from headrace.errors import BadPayload
    from headrace.payload import MAX_RESULT, encode

    try:
        value = json.loads(text)
    except ValueError as exc:
        raise UsageError(f"the arguments are no JSON ({exc}); quote them: '{{\"n\": 1}}'") from None
    if not isinstance(value, dict):
        raise UsageError("the arguments are no JSON object; name them: '{\"n\": 1}'")
    try:
        encode(value, MAX_RESULT)
    except BadPayload as exc:
        raise BadPayload(f"the object of arguments {exc}") from exc
    return value


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f'"{text}" is no time; write it as in 2026-01-31T08:00Z') from None


def _number(text: str) -> int:
    if text.isdecimal() and len(text) < 10:
        return int(text)
    raise UsageError(f'--limit "{text}" is no number of ticks; give 1 or more, or none')


_READERS: dict[str, Any] = {"start": _instant, "end": _instant, "limit": _number}
