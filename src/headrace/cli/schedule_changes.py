"""headrace schedules: the commands that change them."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from headrace.cli.options import AsJson, DatabaseUrl, Embedded, Yes
from headrace.cli.schedule_options import (
    Arguments,
    Attempts,
    CatchUp,
    Cron,
    End,
    Every,
    Jitter,
    Most,
    PriorityName,
    Queue,
    Start,
    TenantName,
    Zone,
)
from headrace.cli.schedules import Name
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.model.schedule import Schedule
    from headrace.ports.inspector import Inspector


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command(short_help="Make a schedule of a task.")(create)
    group.command(short_help="Change what is given and keep the rest.")(edit)
    group.command(short_help="Let a schedule tick no more.")(pause)
    group.command(short_help="Let a paused schedule tick from now on.")(resume)
    group.command(short_help="Make its job once more, now.")(run)
    group.command(short_help="Forget a schedule that no code declares.")(delete)


def create(
    name: Name,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task of its jobs.")],
    arguments: Arguments = None,
    cron: Cron = None,
    every: Every = None,
    tz: Zone = None,
    start: Start = None,
    end: End = None,
    limit: Most = None,
    jitter: Jitter = None,
    catch_up: CatchUp = None,
    queue: Queue = None,
    priority: PriorityName = None,
    max_attempts: Attempts = None,
    tenant: TenantName = None,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Make a schedule of a task that an application has declared.

    What is not said of its jobs is as the task says at each tick; whether the arguments fit the
    task is found out when they run. With --json: the schedule, as in `show`.
    """
    from headrace.cli.schedule_options import job_template, timing_options
    from headrace.cli.schedule_pages import tell
    from headrace.cli.session import actor, inspect
    from headrace.model.timing_options import read_timing

    given = timing_options(
        cron=cron,
        every=every,
        tz=tz,
        start=start,
        end=end,
        limit=limit,
        jitter=jitter,
        catch_up=catch_up,
    )
    timing = read_timing(given, name)
    said = job_template(
        arguments=arguments,
        queue=queue,
        priority=priority,
        max_attempts=max_attempts,
        tenant=tenant,
    )

    async def work(inspector: "Inspector") -> "Schedule":
        await inspector.schedules.create(name, timing, {"task": task, "args": {}, **said}, actor())
        return await inspector.schedules.get(name)

    tell(inspect(database_url, embedded=embedded, work=work), as_json=as_json)


def edit(
    name: Name,
    arguments: Arguments = None,
    cron: Cron = None,
    every: Every = None,
    tz: Zone = None,
    start: Start = None,
    end: End = None,
    limit: Most = None,
    jitter: Jitter = None,
    catch_up: CatchUp = None,
    queue: Queue = None,
    priority: PriorityName = None,
    max_attempts: Attempts = None,
    tenant: TenantName = None,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Change what is given and keep the rest; "none" takes --start, --end or --limit back.

    Of a schedule that code declares, this holds until that declaration itself changes. With --json:
    the schedule, as in `show`.
    """
    from headrace.cli.schedule_options import job_template, timing_options
    from headrace.cli.schedule_pages import tell
    from headrace.cli.session import actor, inspect

    changes = timing_options(
        cron=cron,
        every=every,
        tz=tz,
        start=start,
        end=end,
        limit=limit,
        jitter=jitter,
        catch_up=catch_up,
    )
    said = job_template(
        arguments=arguments,
        queue=queue,
        priority=priority,
        max_attempts=max_attempts,
        tenant=tenant,
    )
    if not (changes or said):
        raise UsageError("nothing is to be changed; give an option such as --cron, or JSON")

    async def work(inspector: "Inspector") -> "Schedule":
        return await inspector.schedules.edit(name, changes, said, actor())

    tell(inspect(database_url, embedded=embedded, work=work), as_json=as_json)


def pause(
    name: Name,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Let a schedule tick no more, also after restarts, until it is resumed.

    With --json: {"schedule", "changed"}; so with resume.
    """
    from headrace.cli.output import say_changed
    from headrace.cli.session import actor, inspect

    async def work(inspector: "Inspector") -> bool:
        return await inspector.schedules.pause(name, actor())

    new = inspect(database_url, embedded=embedded, work=work)
    say_changed("schedule", name, new, ("is paused", "was paused"), as_json=as_json)


def resume(
    name: Name,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Let a paused schedule tick from now on; its ticks meanwhile are passed over."""
    from headrace.cli.output import say_changed
    from headrace.cli.session import actor, inspect

    async def work(inspector: "Inspector") -> bool:
        return await inspector.schedules.resume(name, actor())

    new = inspect(database_url, embedded=embedded, work=work)
    say_changed("schedule", name, new, ("is on", "was on"), as_json=as_json)


def run(
    name: Name,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Make the job of a schedule once more, now, whether it is paused or not.

    Prints the job's id; with --json: {"id"}.
    """
    from headrace.cli.output import print_json, say
    from headrace.cli.session import actor, inspect

    async def work(inspector: "Inspector") -> UUID:
        return await inspector.schedules.run(name, actor())

    job_id = inspect(database_url, embedded=embedded, work=work)
    if as_json:
        print_json({"id": job_id})
    else:
        say(str(job_id))


def delete(
    name: Name,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Forget a schedule that no code declares; its jobs and its history stay.

    Asks before, unless --yes. With --json: {"schedule", "changed"}.
    """
    from headrace.cli.output import say_changed
    from headrace.cli.session import actor, inspect

    if not yes:
        typer.confirm(f"Delete schedule {name}?", abort=True, err=True)

    async def work(inspector: "Inspector") -> None:
        await inspector.schedules.delete(name, actor())

    inspect(database_url, embedded=embedded, work=work)
    say_changed("schedule", name, True, ("is deleted", ""), as_json=as_json)
