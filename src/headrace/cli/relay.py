"""headrace relay: look after the jobs of a database without running any."""

import typer

from headrace.cli.options import DatabaseUrl, Embedded


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="Look after the jobs without running any.")(relay)


def relay(database_url: DatabaseUrl = None, embedded: Embedded = False) -> None:
    """Look after the jobs of a database without running any, until SIGTERM or SIGINT.

    It fills and repairs the lane of HEADRACE_REDIS_URL, gives back the jobs of workers that died,
    and keeps the tables tidy. Workers do that, too, one of them at a time; a process of its own
    that is there first takes it off them, and goes on while no worker runs.
    """
    import asyncio

    from headrace.cli.session import database
    from headrace.config import read_settings
    from headrace.supervisor.relay_process import run_relay
    from headrace.telemetry.logs import configure

    configure()
    with database(database_url, embedded=embedded) as url:
        asyncio.run(run_relay(read_settings({"database_url": url})))
