"""headrace enqueue: a job by hand."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.options import AsJson, DatabaseUrl, Embedded
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.app import Headrace

AppPath = Annotated[str, typer.Argument(metavar="APP", help="module:attribute, as shop.jobs:app.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="Enqueue a job by hand.")(enqueue)


def enqueue(
    app_path: AppPath,
    task: Annotated[str, typer.Argument(metavar="TASK", help="Name of the task.")],
    arguments: Annotated[
        str, typer.Argument(metavar="JSON", help="An object: arguments by name.")
    ] = "{}",
    delay: Annotated[str | None, typer.Option(help='Not before, such as "10m" from now.')] = None,
    expires: Annotated[
        str | None, typer.Option(help='Not started later, such as "1h" from now.')
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", "-q", help="Another queue.")] = None,
    priority: Annotated[
        str | None, typer.Option(help="1 (first) to 10, or high, normal, low ...")
    ] = None,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Enqueue a job; its arguments are checked as the application would.

    Prints the job's id; with --json: {"id", "duplicate"}.
    """
    import asyncio

    from headrace.cli.output import print_json, say
    from headrace.cli.session import application

    given = {
        "delay": delay,
        "expires": expires,
        "queue": queue,
        "priority": _number_or_name(priority),
    }
    named = _object(arguments)
    options = {name: value for name, value in given.items() if value is not None}
    with application(app_path, database_url, embedded=embedded) as app:
        answer = asyncio.run(_enqueue(app, task, named, options))
    if as_json:
        print_json(answer)
    else:
        say(answer["id"])


async def _enqueue(
    app: "Headrace", name: str, arguments: dict[str, Any], options: dict[str, Any]
) -> dict[str, Any]:
    from headrace.cli.application import find_task

    task = find_task(app, name)
    async with app:
        job = await task.options(**options).enqueue(**arguments)
        return {"id": str(job.id), "duplicate": job.duplicate}


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise UsageError(f"the arguments are no JSON ({exc}); quote them: '{{\"n\": 1}}'") from None
    if not isinstance(value, dict):
        raise UsageError("the arguments are no JSON object; name them: '{\"n\": 1}'")
    return value


def _number_or_name(priority: str | None) -> int | str | None:
    return int(priority) if priority is not None and priority.isdigit() else priority
