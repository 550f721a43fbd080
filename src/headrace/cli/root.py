"""The program: its commands, its version, and its errors as one sentence."""

import sys
from typing import Annotated

import typer

from headrace.cli import (
    bench,
    checks,
    demo,
    dev,
    dlq,
    enqueue,
    events,
    flows,
    jobs,
    lane,
    limits,
    queues,
    relay,
    schedule_changes,
    schedules,
    schema,
    streams,
    topics,
    worker,
)
from headrace.cli.top import command as top
from headrace.errors import AppBroken, HeadraceError, UsageError

_HELP = """Durable jobs for Python: PostgreSQL keeps them, workers run them.

\b
Begin:
  headrace demo --once          see it work on real mail, with servers of its own
  headrace migrate              make the tables (or bring them up to date)
  headrace doctor               look at the database and say what to mend
  headrace dev APP              work on an application: servers, and a worker that reloads
  headrace worker APP           run the jobs of an application
  headrace enqueue APP TASK     enqueue a job by hand
Look:
  headrace top                  queues, the lane and workers, live
  headrace queues list          how many jobs wait, run, failed
  headrace jobs list            the newest jobs; add --state, --queue, --task ...
  headrace jobs show ID         one job with its history
  headrace schedules list       what makes jobs by the clock, and when next
  headrace flows show ID        jobs that wait for each other, as one graph
  headrace events APP           what happens to jobs, while it happens
  headrace streams read APP S   what was told to a user, say, and what comes
  headrace topics list          who gets what is published, and how far behind
Mend:
  headrace dlq replay ID        run a dead job again
  headrace jobs cancel ID       one that is not wanted any more

The database is that of --database-url, of HEADRACE_DATABASE_URL, of headrace.toml, or of
[tool.headrace] in pyproject.toml; --embedded takes servers in ./.headrace, which all commands of a
folder share. Every command that tells something prints one JSON document with --json. APP is
module:attribute, such as shop.jobs:app.

The exit status is 0, 1 when it could not be done, 2 when the command line is wrong.
"""

app: typer.Typer = typer.Typer(
    name="headrace",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # a plain help page is there in a third of the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
demo.register(app)
dev.register(app)
worker.register(app)
relay.register(app)
schema.register(app)
checks.register(app)
enqueue.register(app)
events.register(app)
lane.register(app)
bench.register(app)
top.register(app)
app.add_typer(jobs.app, name="jobs")
app.add_typer(dlq.app, name="dlq")
app.add_typer(queues.app, name="queues")
app.add_typer(schedules.app, name="schedules")
schedule_changes.register(schedules.app)
app.add_typer(limits.app, name="limits")
app.add_typer(flows.app, name="flows")
app.add_typer(topics.app, name="topics")
app.add_typer(streams.app, name="streams")


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"headrace {version('headrace')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Options of the program itself."""


def run() -> None:
    """Run the command line; ends the process.

    An error of ours is one sentence on standard error; where the application cannot be imported its
    own part of the traceback follows. Any other error is a defect and keeps its traceback.
    """
    try:
        app()
    except HeadraceError as exc:
        sys.exit(report(exc))


def report(exc: HeadraceError) -> int:
    """Say what went wrong; returns the exit status: 2 where the call was wrong, else 1."""
    print(f"headrace: {exc}", file=sys.stderr)  # noqa: T201 - the program speaks
    if isinstance(exc, AppBroken) and exc.__cause__ is not None:
        from headrace.cli.blame import traceback_of_application

        print(traceback_of_application(exc.__cause__), end="", file=sys.stderr)  # noqa: T201 - as above
    return 2 if isinstance(exc, UsageError) else 1
