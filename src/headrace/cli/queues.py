"""headrace queues: counts, promises, pausing, draining and cleaning."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, cast
from uuid import UUID

import typer

from headrace.cli.options import AsJson, AtMost, DatabaseUrl, DryRun, Embedded, Yes
from headrace.model.promise import Promise
from headrace.model.state import FINAL, State

if TYPE_CHECKING:
    from headrace.model.inspection import Promised, QueueCounts
    from headrace.ports.inspector import Answers, Inspector

app: typer.Typer = typer.Typer(
    help="Look at queues, set their promises, pause, drain and clean them.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The queue.")]
_POLL = 0.25


@app.command("list")
def list_queues(
    database_url: DatabaseUrl = None, embedded: Embedded = False, as_json: AsJson = False
) -> None:
    """List all queues with their counts.

    With --json: {"queues": [...]}. Live jobs are told apart by state up to 10,000 a queue; 10001
    means more. The other counts are exact, and count what retention and cleaning have left.
    """
    from headrace.cli.output import ago, print_json, print_table
    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> "list[QueueCounts]":
        return await inspector.queues()

    counts = inspect(database_url, embedded=embedded, work=work)
    if as_json:
        print_json({"queues": counts})
        return
    numbers = (
        "available",
        "running",
        "scheduled",
        "retryable",
        "dead",
        "completed",
        "cancelled",
    )
    print_table(
        ("queue", *numbers, "waits", "promise", ""),
        [
            (
                one.queue,
                *(_number(getattr(one, name)) for name in numbers),
                ago(one.oldest),
                one.promise,
                ", ".join(_notes(one)),
            )
            for one in counts
        ],
        numbers=(*numbers, "waits"),
    )


@app.command()
def create(
    name: Name,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Make a queue known, so that jobs can be sent to it.

    With --json: {"queue", "changed"}; so with pause and resume.
    """
    from headrace.cli.output import say_changed
    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> bool:
        return await inspector.create_queue(name)

    new = inspect(database_url, embedded=embedded, work=work)
    say_changed("queue", name, new, ("is new", "was there"), as_json=as_json)


@app.command(short_help="Let a queue promise more or less of its jobs.")
def promise(
    name: Name,
    promise: Annotated[Promise, typer.Argument(help="What it promises from now on.")],
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Let a queue promise more or less of its jobs: docs/promises.md says what.

    Applications that declare another promise of it are refused when they start. With --json:
    {"queue", "changed", "seconds"}: after so many seconds every job that starts is under the new
    promise.
    """
    from headrace.cli.output import print_json, say
    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> "Promised":
        return await inspector.promise(name, promise)

    answer = inspect(database_url, embedded=embedded, work=work)
    seconds = answer.lease if promise is Promise.STRICT else 0.0
    if as_json:
        print_json({"queue": name, "changed": answer.changed, "seconds": seconds})
    elif seconds and answer.changed:
        say(f"queue {name} is {promise}: all that starts later than {seconds:g} s from now")
    else:
        say(f"queue {name} {'is' if answer.changed else 'was'} {promise}")


@app.command(short_help="Let a queue hold no more jobs than so many.")
def max_depth(
    name: Name,
    depth: Annotated[str, typer.Argument(metavar="N", help='How many, or "none".')],
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Let a queue hold no more jobs than so many that are not over, whatever applications declare.

    What would be more is refused when it is enqueued; what is there already stays, retries and
    replays pass. With --json: {"queue", "changed"}.
    """
    from headrace.cli.output import say_changed
    from headrace.cli.session import inspect

    most = None if depth == "none" else int(depth) if depth.isdecimal() else depth

    async def work(inspector: "Inspector") -> bool:
        return await inspector.max_depth(name, cast("int | None", most))

    new = inspect(database_url, embedded=embedded, work=work)
    said = "holds any number of jobs" if most is None else f"holds {most} jobs at most"
    say_changed("queue", name, new, (said, f"{said}, as before"), as_json=as_json)


@app.command(short_help="Hand out no more jobs of a queue.")
def pause(
    name: Name,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Hand out no more jobs of a queue; running ones finish, new ones are still taken in."""
    from headrace.cli.output import say_changed
    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> bool:
        return await inspector.pause(name)

    new = inspect(database_url, embedded=embedded, work=work)
    say_changed("queue", name, new, ("is paused", "was paused"), as_json=as_json)


@app.command()
def resume(
    name: Name,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Hand out the jobs of a paused queue again."""
    from headrace.cli.output import say_changed
    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> bool:
        return await inspector.resume(name)

    new = inspect(database_url, embedded=embedded, work=work)
    say_changed("queue", name, new, ("is on", "was on"), as_json=as_json)


@app.command(short_help="Wait until no job of a queue is due or runs.")
def drain(
    name: Name,
    timeout: Annotated[str, typer.Option(help='How long to wait, such as "10m".')] = "10m",
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Wait until no job of a queue is due or runs; status 1 if it takes longer than --timeout.

    Nothing is thrown away, and new jobs are still taken in: stop their producers first. Jobs
    scheduled for later are not waited for. In a paused queue only running jobs are, so `pause`
    and then `drain` make it quiet. To be rid of waiting jobs: `headrace jobs cancel --queue NAME`.
    With --json: {"queue", "left"}.
    """
    from headrace.cli.output import note, print_json, say
    from headrace.cli.session import inspect
    from headrace.model.duration import parse_duration

    patience = parse_duration(timeout, "--timeout")

    async def work(inspector: "Inspector") -> "QueueCounts":
        return await _drained(inspector, name, patience)

    counts = inspect(database_url, embedded=embedded, work=work)
    if as_json:
        print_json({"queue": name, "left": _left(counts)})
    if _left(counts):
        note(f"queue {name} still has {_number(_left(counts))} jobs to run after {timeout}")
        raise typer.Exit(1)
    if not as_json:
        say(f"queue {name} is drained")


@app.command()
def clean(
    name: Name,
    state: Annotated[State, typer.Option(help="completed, cancelled or dead.")],
    older_than: Annotated[
        str, typer.Option(help='Over for at least this long, such as "12h"; "0s": all.')
    ] = "1d",
    limit: AtMost = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Delete jobs of a queue that are over, by state and age.

    Asks before, unless --yes. With --json: {"counts": {"done": n}}, or {"matched": n} with
    --dry-run.
    """
    from headrace.cli.changing import Connection, change_jobs, count_jobs
    from headrace.cli.selection import Selection
    from headrace.model.duration import parse_duration
    from headrace.model.inspection import JobFilter

    age: timedelta = parse_duration(older_than, "--older-than")
    wanted = JobFilter(states=(state,), queue=name, settled_for=age)
    connection = Connection(url=database_url, embedded=embedded, json=as_json)
    selection = Selection(wanted=wanted, limit=limit).among(*FINAL)
    if dry_run:
        count_jobs(connection, selection)
        return

    async def change(inspector: "Inspector", ids: Sequence[UUID]) -> "Answers":
        return await inspector.delete(ids)

    change_jobs(connection, selection, change, question="" if yes else "Delete")


async def _drained(inspector: "Inspector", name: str, patience: timedelta) -> "QueueCounts":
    """The counts of the queue once nothing is left to run, or at the end of the patience."""
    import asyncio
    import time

    deadline = time.monotonic() + patience.total_seconds()
    counts = await inspector.queue(name)
    while _left(counts) and time.monotonic() < deadline:
        await asyncio.sleep(_POLL)
        counts = await inspector.queue(name)
    return counts


def _left(counts: "QueueCounts") -> int:
    return counts.running + (0 if counts.paused else counts.available)


def _notes(counts: "QueueCounts") -> list[str]:
    said = ["paused"] if counts.paused else []
    if counts.max_depth is not None:
        said.append(f"{_number(counts.max_depth)} at most")
    return said


def _number(n: int) -> str:
    return f"{n:,}"
