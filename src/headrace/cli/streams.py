"""headrace streams: read what is kept of a stream, and publish by hand."""

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.options import AtMost, DatabaseUrl, Embedded

if TYPE_CHECKING:
    from headrace.app import Headrace
    from headrace.model.stream import StreamEvent

app: typer.Typer = typer.Typer(
    help="Read streams, and publish to them by hand.", no_args_is_help=True
)

Path = Annotated[str, typer.Argument(metavar="APP", help="module:attribute")]
Name = Annotated[str, typer.Argument(metavar="STREAM", help='Such as "users:42".')]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document a line.")]


@app.command(short_help="Read a stream, and what comes.")
def read(
    path: Path,
    stream: Name,
    after: Annotated[
        str, typer.Option(metavar="ID", help="Begin after this event; 0: with all that is kept.")
    ] = "0",
    limit: AtMost = None,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Read a stream from a place on, and then what comes, until Ctrl-C.

    With --json each line is an event: {"id", "stream", "kind", "at", "data"}; one of the kind "gap"
    where some are kept no more.
    """
    import asyncio
    from contextlib import suppress

    from headrace.cli.session import application

    with suppress(KeyboardInterrupt), application(path, database_url, embedded=embedded) as app:
        asyncio.run(_read(app, stream, after, limit, as_json=as_json))


@app.command(short_help="Publish an event to a stream by hand.")
def publish(
    path: Path,
    stream: Name,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What it is about.")],
    data: Annotated[str, typer.Argument(metavar="JSON", help="The event itself.")] = "null",
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Publish an event to a stream by hand.

    With --json: {"stream", "id"}.
    """
    import asyncio

    import msgspec

    from headrace.cli.output import print_json, say
    from headrace.cli.session import application
    from headrace.errors import UsageError

    try:
        value = msgspec.json.decode(data)
    except msgspec.DecodeError as exc:
        raise UsageError(f"{data!r} is no JSON: {exc}") from exc

    async def work(app: "Headrace") -> int:
        async with app:
            return await app.streams.publish(stream, kind, value)

    with application(path, database_url, embedded=embedded) as app:
        event_id = asyncio.run(work(app))
    if as_json:
        print_json({"stream": stream, "id": event_id})
    else:
        say(f"{stream}: event {event_id}")


async def _read(
    app: "Headrace", stream: str, after: str, limit: int | None, *, as_json: bool
) -> None:
    shown = 0
    async with app:
        async for event in app.streams.read(stream, after=after):
            _show(event, as_json=as_json)
            shown += 1
            if shown == limit:
                return


def _show(event: "StreamEvent", *, as_json: bool) -> None:
    import msgspec

    if as_json:
        print(msgspec.json.encode(event).decode(), flush=True)  # noqa: T201 - the program speaks
        return
    at = "" if event.at is None else f"{event.at.astimezone():%Y-%m-%d %H:%M:%S}"
    data = msgspec.json.encode(event.data).decode()
    print(f"{event.id}  {at}  {event.kind}  {data}", flush=True)  # noqa: T201 - as above
