"""headrace demo: the mailroom."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.options import DatabaseUrl

_NEEDED = {"aiosmtpd", "aiosmtplib"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="Run the mailroom: real mail, read and answered by jobs.")(demo)


def demo(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="PATH",
            help="A Maildir, an mbox, a folder of messages or one message; else real mail that "
            "is installed already.",
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="One batch, then a line of JSON and an exit status.")
    ] = False,
    chaos: Annotated[
        bool, typer.Option("--chaos", help="The same under SIGKILL, on servers of its own.")
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Run the mailroom: one job a message reads it, stores it and enqueues its answer.

    Without a database URL it takes embedded servers in ./.headrace. With --once it ends with one
    line of JSON, and with status 0 only if the input counted again, the ledger, the rows and the
    mail server's own mailbox agree.

    Without it mail comes in over and over, five messages a second, until Ctrl-C: some of it later
    or sooner than the rest, some answers put off by the mail server, a few refused. It shows how
    that goes, and what dies: kill the worker, and see.

    With --chaos more mail is read by two workers while they, Valkey and the connections to
    PostgreSQL are killed again and again, for about a minute. The line of JSON tells what was
    killed, and how many answers were sent again by jobs that were cut short; with status 0 all
    counts agree, and no answer was sent more often than its job can have run.
    """
    import asyncio
    import os

    from headrace.cli.session import database
    from headrace.telemetry.logs import configure

    _require_mail_programs()
    if chaos:
        raise typer.Exit(_in_a_storm(path, database_url))
    if once:
        from headrace.cli.mailroom.once import run_once as run
    else:
        from headrace.cli.mailroom.show import run_show as run

    configure("WARNING")
    with database(database_url, embedded=database_url is None) as url, _alone(database_url):
        os.environ["HEADRACE_DATABASE_URL"] = url
        try:
            status = asyncio.run(run(url, path))
        except KeyboardInterrupt:
            status = 0
    raise typer.Exit(status)


def _in_a_storm(path: Path | None, database_url: str | None) -> int:
    import asyncio

    from headrace.errors import UsageError
    from headrace.telemetry.logs import configure

    if database_url:
        raise UsageError(
            "--chaos kills servers, so it brings its own: leave out the database URL "
            "(HEADRACE_DATABASE_URL counts as given)"
        )
    if path is not None:
        raise UsageError(f"--chaos takes the mail that is installed: leave out {path}")
    from headrace.cli.mailroom.chaos import own_servers, run_chaos

    configure("ERROR")  # that servers are away is no news here
    with own_servers() as servers:
        return asyncio.run(run_chaos(servers))


@contextmanager
def _alone(database_url: str | None) -> Iterator[None]:
    """Where demos share the embedded servers: each has a mailbox of its own, so one at a time.

    Raises:
        DataDirectoryInUse: another one runs in this folder.
    """
    from headrace.cli.session import EMBEDDED
    from headrace.embedded.lock import FileLock
    from headrace.errors import DataDirectoryInUse

    lock = FileLock(EMBEDDED / "demo.lock")
    if database_url is None and not lock.take():
        raise DataDirectoryInUse(
            "another demo runs in this folder, and each would take the other's mail: "
            "end it, or work in another folder"
        )
    try:
        yield
    finally:
        lock.release()


def _require_mail_programs() -> None:
    from importlib.util import find_spec

    from headrace.errors import ConfigError

    missing = sorted(name for name in _NEEDED if find_spec(name) is None)
    if missing:
        raise ConfigError(
            f"the demo needs {' and '.join(missing)}; run: pip install 'headrace[demo]'"
        )
