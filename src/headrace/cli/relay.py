"""headrace relay: look after the jobs of a database without running any."""

from typing import Annotated

import typer

from headrace.cli.options import DatabaseUrl, Embedded, Level, LogLevel


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="Look after the jobs without running any.")(relay)


def relay(
    app_path: Annotated[
        str | None,
        typer.Argument(
            metavar="APP",
            help="module:attribute, as shop.jobs:app; needed where the application itself says "
            "what its lane or its database is.",
        ),
    ] = None,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    log_level: LogLevel = Level.INFO,
) -> None:
    """Look after the jobs of a database without running any, until SIGTERM or SIGINT.

    It fills and repairs the lane, gives back the jobs of workers that died, and keeps the tables
    tidy. Workers do that, too, one of them at a time; a process of its own that is there first
    takes it off them, and goes on while no worker runs.
    """
    import asyncio

    from headrace.cli.application import database_url_of, load_app_on_embedded
    from headrace.cli.session import database
    from headrace.config import read_settings
    from headrace.supervisor.relay_process import run_relay
    from headrace.telemetry.logs import configure

    configure(log_level.upper())
    found = database_url
    if app_path is not None:
        found = database_url_of(app_path, database_url, embedded=embedded)
    with database(found, embedded=embedded) as url:
        settings = read_settings({"database_url": url})
        if app_path is not None:
            app = load_app_on_embedded(app_path, url, embedded=embedded)
            settings = app.settings.model_copy(update={"database_url": url})
        asyncio.run(run_relay(settings))
