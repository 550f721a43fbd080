"""The options that many commands share."""

from enum import StrEnum
from typing import Annotated

import typer

from headrace.model.state import State


class Level(StrEnum):
    """How much is logged: records of this level and above."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


LogLevel = Annotated[
    Level,
    typer.Option("--log-level", help="Log what is of this level or above.", case_sensitive=False),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        envvar="HEADRACE_DATABASE_URL",
        help="postgresql://user:password@host:5432/database",
        show_envvar=True,
    ),
]
RedisUrl = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        envvar="HEADRACE_REDIS_URL",
        help="redis://host:6379/0, of a Redis or Valkey server",
        show_envvar=True,
    ),
]
Embedded = Annotated[
    bool, typer.Option("--embedded", help="Take the embedded servers in ./.headrace.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count the jobs; change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
All = Annotated[bool, typer.Option("--all", help="All jobs that it can be done to.")]

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Jobs by id.")]
States = Annotated[
    list[State] | None,
    typer.Option("--state", metavar="STATE", help=f"{', '.join(State)}; may be repeated."),
]
QueueName = Annotated[
    str | None, typer.Option("--queue", "-q", metavar="NAME", help="Of this queue.")
]
TaskName = Annotated[str | None, typer.Option("--task", "-t", metavar="NAME", help="Of this task.")]
Tenant = Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Of this tenant.")]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help='Made since: "2h" ago, or 2026-01-31T08:00.'),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help='Made before: "2h" ago, or 2026-01-31T08:00.'),
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the jobs.")]
ErrorText = Annotated[
    str | None, typer.Option("--error", metavar="TEXT", help="Whose error holds this text.")
]
LogText = Annotated[
    str | None,
    typer.Option("--log", metavar="TEXT", help="Whose log or progress holds this text."),
]
Limit = Annotated[
    int, typer.Option("--limit", "-n", metavar="N", min=1, max=10_000, help="How many at most.")
]
AtMost = Annotated[
    int | None, typer.Option("--limit", "-n", metavar="N", min=1, help="How many at most.")
]
Before = Annotated[str | None, typer.Option(metavar="ID", help="Go on before this id.")]
