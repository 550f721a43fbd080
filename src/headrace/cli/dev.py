"""headrace dev: everything that an application needs while it is written."""

from collections.abc import AsyncIterator
from pathlib import Path

import typer

from headrace.cli.enqueue import AppPath
from headrace.cli.options import DatabaseUrl, Level, LogLevel
from headrace.errors import ConfigError

_GRACE = 5.0  # seconds that running jobs get when the worker is started anew
_PATIENCE = 8.0  # seconds until it is killed: a thread cannot be cancelled
_TOGETHER = 300  # milliseconds in which files that are saved together are one change


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="Work on an application: servers, and a worker that reloads.")(dev)


def dev(
    app_path: AppPath, database_url: DatabaseUrl = None, log_level: LogLevel = Level.INFO
) -> None:
    """Work on an application: servers, tables, and a worker that starts anew when code changes.

    Without a database URL, in an option or in the application's settings, it takes the embedded
    servers in ./.headrace, which all commands with --embedded in this folder share: enqueue,
    jobs list, top. The tables are made or brought up to date.

    Whenever a Python file below this folder is saved, the worker drains (running jobs get 5
    seconds) and starts anew. Where the application cannot be imported then, the error is shown,
    and the next change tries again. Ctrl-C ends all.
    """
    import asyncio
    import os

    from headrace.cli.application import database_url_of
    from headrace.cli.session import EMBEDDED, database
    from headrace.ledger.migrate import migrate
    from headrace.supervisor.reloader import Reloader
    from headrace.telemetry.logs import configure

    _require_watchfiles()
    configure(log_level.upper())
    found = database_url_of(app_path, database_url, embedded=False)
    embedded = found is None
    with database(found, embedded=embedded) as url:
        if not embedded:
            os.environ["HEADRACE_DATABASE_URL"] = url
        asyncio.run(migrate(url))
        if embedded:
            typer.echo(f"servers in ./{EMBEDDED}; `headrace top --embedded` shows them at work")
        command = _worker(app_path, log_level, embedded=embedded)

        async def work() -> None:
            await Reloader(command, _changes(Path.cwd()), patience=_PATIENCE).run()

        asyncio.run(work())


def _worker(app_path: str, log_level: str, *, embedded: bool) -> list[str]:
    import sys

    options = ["--supervised", "--grace", f"{_GRACE:.0f}s", "--log-level", log_level]
    options += ["--embedded"] if embedded else []
    return [sys.executable, "-m", "headrace", "worker", app_path, *options]


async def _changes(folder: Path) -> AsyncIterator[str]:
    """The names of Python files that change, those of a moment together."""
    from watchfiles import PythonFilter, awatch

    async for changes in awatch(
        folder, watch_filter=PythonFilter(), debounce=_TOGETHER, ignore_permission_denied=True
    ):
        names = sorted({Path(path).relative_to(folder).as_posix() for _, path in changes})
        yield ", ".join(names)


def _require_watchfiles() -> None:
    import logging
    from importlib.util import find_spec

    if find_spec("watchfiles") is None:
        raise ConfigError("dev needs watchfiles; run: pip install 'headrace[dev]'")
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
