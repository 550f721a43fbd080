"""headrace schedules: what makes jobs by the clock."""

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.options import AsJson, DatabaseUrl, Embedded
from headrace.cli.schedule_options import (
    Cron,
    End,
    Every,
    Start,
    Zone,
)
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.model.schedule import Schedule, ScheduleEvent
    from headrace.ports.inspector import Inspector

app: typer.Typer = typer.Typer(
    help="Look at schedules, make, change, pause and run them.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule.")]
Number = Annotated[
    int, typer.Option("--number", "-n", metavar="N", min=1, max=1000, help="How many ticks.")
]


@app.command("list")
def list_schedules(
    database_url: DatabaseUrl = None, embedded: Embedded = False, as_json: AsJson = False
) -> None:
    """List all schedules.

    With --json: {"schedules": [...]}.
    """
    from headrace.cli.output import at, print_json, print_table
    from headrace.cli.schedule_pages import notes, when
    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> "list[Schedule]":
        return await inspector.schedules.all()

    found = inspect(database_url, embedded=embedded, work=work)
    if as_json:
        print_json({"schedules": found})
        return
    print_table(
        ("schedule", "task", "when", "next", "last", "made", "declared by", ""),
        [
            (
                one.name,
                one.task,
                when(one.timing),
                at(one.next_tick),
                at(one.last_tick),
                f"{one.made:,}",
                one.app or "",
                notes(one),
            )
            for one in found
        ],
        numbers=("made",),
    )


@app.command(short_help="Show a schedule, its next ticks and its history.")
def show(
    name: Name,
    number: Number = 5,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Show a schedule, its next ticks and what was done to it.

    With --json: {"schedule": {...}, "upcoming": [...], "history": [...]}.
    """
    from headrace.cli.output import at, print_json, print_pairs, print_table, say
    from headrace.cli.schedule_pages import pairs
    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> "tuple[Schedule, list[ScheduleEvent]]":
        found = await inspector.schedules.get(name)
        return found, await inspector.schedules.history(name)

    found, history = inspect(database_url, embedded=embedded, work=work)
    upcoming = found.upcoming(number)
    if as_json:
        print_json({"schedule": found, "upcoming": upcoming, "history": history})
        return
    print_pairs(pairs(found, upcoming))
    if history:
        say("")
        print_table(
            ("at", "what", "by", ""),
            [(at(one.at), one.kind, one.actor, bytes(one.data or b"").decode()) for one in history],
        )


@app.command(short_help="Show next ticks, of a schedule or an expression.")
def preview(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A schedule that there is.")
    ] = None,
    cron: Cron = None,
    every: Every = None,
    tz: Zone = None,
    start: Start = None,
    end: End = None,
    number: Number = 5,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Show the next ticks of a schedule, or of an expression that need not be one yet.

    With --json: {"upcoming": [...]}, in UTC.
    """
    from datetime import UTC, datetime

    from headrace.cli.output import print_json, say
    from headrace.cli.schedule_options import timing_options
    from headrace.cli.schedule_pages import in_its_zone
    from headrace.cli.session import inspect
    from headrace.model.timing_options import read_timing

    given = timing_options(cron=cron, every=every, tz=tz, start=start, end=end)
    if (name is None) == (not given):
        raise UsageError('which ticks? give the NAME of a schedule, or --cron "0 3 * * *"')
    if name is None:
        timing = read_timing(given, None)
        upcoming = timing.upcoming(datetime.now(UTC), number)
    else:
        known = name

        async def work(inspector: "Inspector") -> "Schedule":
            return await inspector.schedules.get(known)

        found = inspect(database_url, embedded=embedded, work=work)
        timing, upcoming = found.timing, found.upcoming(number)
    if as_json:
        print_json({"upcoming": upcoming})
        return
    for one in upcoming:
        say(in_its_zone(one, timing))
