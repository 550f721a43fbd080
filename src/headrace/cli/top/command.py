"""headrace top: a page that is read anew each second, or one snapshot."""

from typing import TYPE_CHECKING

import typer

from headrace.cli.options import AsJson, DatabaseUrl, Embedded

if TYPE_CHECKING:
    from headrace.ports.inspector import Inspector


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="Watch queues, the lane and workers, live.")(top)


def top(
    database_url: DatabaseUrl = None, embedded: Embedded = False, as_json: AsJson = False
) -> None:
    """Watch queues, the lane and workers; read anew each second until q or Ctrl-C.

    In and out are jobs per second that were enqueued and that ended; the bars are all that ended
    in the last minute. Busy are the slots at work at the last beat, of how many.

    With --json, or where the output is no terminal, it looks for a second and prints one
    snapshot: {"jobs_per_second", "queues": [...], "lane", "workers": [...], "leaders": [...]}.
    """
    import sys

    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> None:
        if as_json or not sys.stdout.isatty():
            from headrace.cli.top.snapshot import print_snapshot

            await print_snapshot(inspector, as_json=as_json)
        else:
            from headrace.cli.top.watch import watch

            await watch(inspector)

    inspect(database_url, embedded=embedded, work=work)
