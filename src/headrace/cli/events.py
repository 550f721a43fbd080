"""headrace events: what happens to jobs, while it happens."""

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.options import AtMost, DatabaseUrl, Embedded, QueueName, TaskName

if TYPE_CHECKING:
    from headrace.app import Headrace
    from headrace.model.event import Event


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="Watch what happens to jobs, while it happens.")(events)


def events(
    path: Annotated[str, typer.Argument(metavar="APP", help="module:attribute")],
    queue: QueueName = None,
    task: TaskName = None,
    job: Annotated[str | None, typer.Option("--job", metavar="ID", help="Of this job.")] = None,
    limit: AtMost = None,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document a line.")
    ] = False,
) -> None:
    """Watch what happens to jobs, from about a second after the start until Ctrl-C.

    Nothing is kept of it: what happened before is in `headrace jobs show`.

    With --json each line is an event: {"id", "kind", "at", "queue", "task", "job", "attempt",
    "fields"}; what is empty is left out.
    """
    import asyncio
    from contextlib import suppress

    from headrace.cli.session import application

    with suppress(KeyboardInterrupt), application(path, database_url, embedded=embedded) as app:
        asyncio.run(_watch(app, queue, task, job, limit, as_json=as_json))


async def _watch(
    app: "Headrace",
    queue: str | None,
    task: str | None,
    job: str | None,
    limit: int | None,
    *,
    as_json: bool,
) -> None:
    from headrace.cli.output import note

    async with app, app.events(queue=queue, task=task, job=job) as events:
        note("events from now on:")
        shown = 0
        async for event in events:
            _show(event, as_json=as_json)
            shown += 1
            if shown == limit:
                return


def _show(event: "Event", *, as_json: bool) -> None:
    import msgspec

    if as_json:
        print(msgspec.json.encode(event).decode(), flush=True)  # noqa: T201 - the program speaks
        return
    fields = " ".join(
        f"{name}={msgspec.json.encode(value).decode()}" for name, value in event.fields.items()
    )
    attempt = f"#{event.attempt}" if event.attempt else ""
    told = (
        f"{event.at.astimezone():%H:%M:%S.%f}"[:-3],
        f"{event.kind:9}",
        str(event.job or ""),
        f"{event.queue} {event.task}{attempt}",
        fields,
    )
    print("  ".join(told).rstrip(), flush=True)  # noqa: T201 - the program speaks
