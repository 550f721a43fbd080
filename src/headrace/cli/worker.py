"""headrace worker: run the jobs of an application."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.enqueue import AppPath
from headrace.cli.options import DatabaseUrl, Embedded, Level, LogLevel
from headrace.errors import UnknownQueue, UsageError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from headrace.app import Headrace

_CONCURRENCY = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="Run the jobs of an application.")(worker)


def worker(
    app_path: AppPath,
    queue: Annotated[
        list[str] | None,
        typer.Option(
            "--queue",
            "-q",
            metavar="NAME[:CONCURRENCY]",
            help="Work on this queue, so many jobs at a time; may be repeated. Else on all queues "
            "of the application.",
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, help="Jobs at a time a queue and process.")
    ] = _CONCURRENCY,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", min=1, help="Processes; of two or more, one that ends is replaced."
        ),
    ] = 1,
    burst: Annotated[bool, typer.Option("--burst", help="End when no job is due.")] = False,
    grace: Annotated[
        str, typer.Option(help="What running jobs get to finish after SIGTERM.")
    ] = "30s",
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    log_level: LogLevel = Level.INFO,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Run the jobs of an application until SIGTERM or SIGINT.

    The first signal lets running jobs finish and gives back the rest; a second one ends at once.
    """
    import os

    from headrace.cli.application import database_url_of, load_app_on_embedded
    from headrace.cli.session import database
    from headrace.model.duration import parse_duration
    from headrace.telemetry.logs import configure

    configure(log_level.upper())
    seconds = parse_duration(grace, "grace").total_seconds()
    found = database_url_of(app_path, database_url, embedded=embedded)
    with database(found, embedded=embedded) as url:
        os.environ["HEADRACE_DATABASE_URL"] = url
        app = load_app_on_embedded(app_path, url, embedded=embedded)
        queues = _queues(app, queue or [], concurrency)
        if embedded and processes > 1:
            del os.environ[
                "HEADRACE_DATABASE_URL"
            ]  # each of them uses the servers in its own right
        if processes == 1:
            status = _work(app, queues, burst=burst, grace=seconds, supervised=supervised)
        else:
            status = _supervise(sys.argv[1:], processes, burst=burst)
    raise typer.Exit(status)


def _work(
    app: "Headrace", queues: dict[str, int], *, burst: bool, grace: float, supervised: bool
) -> int:
    import asyncio

    from headrace.supervisor.node import run_node
    from headrace.worker.end_process import end_process

    async def node() -> None:
        try:
            await run_node(app, queues, burst=burst, grace=grace, supervised=supervised)
        except RuntimeError as exc:
            end_process(str(exc))  # what is stuck would keep it for ever

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(node())
    return 0


def _supervise(arguments: list[str], processes: int, *, burst: bool) -> int:
    import asyncio

    from headrace.supervisor.supervisor import Supervisor

    # This very command line; the options that follow win.
    command = [sys.executable, "-m", "headrace", *arguments, "--processes", "1", "--supervised"]
    return asyncio.run(Supervisor(command, processes, burst=burst).run())


def _loop_factory() -> "Callable[[], AbstractEventLoop] | None":
    """The faster event loop, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _queues(app: "Headrace", wanted: list[str], concurrency: int) -> dict[str, int]:
    known = app.queues
    if not app.tasks:
        raise UsageError(
            f'the application "{app.name}" has no tasks, so a worker can run nothing; import the '
            "modules that declare them where the application is made"
        )
    if not wanted:
        return dict.fromkeys(sorted(known), concurrency)
    queues = {}
    for one in wanted:
        name, number = _split(one)
        if name not in known:
            raise UnknownQueue(
                f'queue "{name}" is declared by no task of {app.name}; '
                f"known: {', '.join(sorted(known)) or 'none'}"
            )
        queues[name] = number or concurrency
    return queues


def _split(wanted: str) -> tuple[str, int | None]:
    """NAME or NAME:CONCURRENCY; a name may hold colons itself."""
    name, colon, number = wanted.rpartition(":")
    if not colon or not number.isdigit():
        return wanted, None
    if int(number) < 1:
        raise UsageError(f'--queue "{wanted}" asks for no slot; give a concurrency of at least 1')
    return name, int(number)
