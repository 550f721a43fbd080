"""headrace jobs: look at jobs and change them."""

from textwrap import indent
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.change_command import add_change
from headrace.cli.options import (
    AsJson,
    Before,
    DatabaseUrl,
    Embedded,
    ErrorText,
    Limit,
    LogText,
    QueueName,
    Since,
    States,
    TaskName,
    Tenant,
    Until,
)
from headrace.model.state import FINAL, WAITING, State

if TYPE_CHECKING:
    from headrace.model.inspection import JobEvent, Page
    from headrace.model.job import Job
    from headrace.ports.inspector import Inspector

app: typer.Typer = typer.Typer(help="Look at jobs and change them.", no_args_is_help=True)

_PAGES = 100  # a listing that matches little gives up after a million rows and says how to go on


@app.command("list")
def list_jobs(
    states: States = None,
    queue: QueueName = None,
    task: TaskName = None,
    tenant: Tenant = None,
    since: Since = None,
    until: Until = None,
    error: ErrorText = None,
    log: LogText = None,
    limit: Limit = 20,
    before: Before = None,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    With --json: {"jobs": [...], "cursor": ID or null}; go on with --before ID.
    """
    from headrace.cli.output import ago, at, note, print_json, print_table
    from headrace.cli.selection import job_filter, job_ids
    from headrace.cli.session import inspect
    from headrace.model.inspection import Page

    wanted = job_filter(
        states=states,
        queue=queue,
        task=task,
        tenant=tenant,
        since=since,
        until=until,
        error=error,
        log=log,
    )
    start = next(iter(job_ids([before] if before else None)), None)

    async def work(inspector: "Inspector") -> "Page":
        jobs: list[Job] = []
        cursor = start
        for _ in range(_PAGES):
            step = min(limit - len(jobs), 500)
            page = await inspector.list_jobs(wanted, limit=step, before=cursor)
            jobs += page.jobs
            cursor = page.cursor
            if cursor is None or len(jobs) >= limit:
                break
        return Page(jobs=tuple(jobs), cursor=cursor)

    page = inspect(database_url, embedded=embedded, work=work)
    if as_json:
        print_json(page)
        return
    columns = ("id", "state", "queue", "task", "runs", "made", "due", "error")
    print_table(
        columns,
        [
            (
                str(job.id),
                job.state.value,
                job.queue,
                job.task,
                f"{job.attempt}/{job.max_attempts}",
                f"{ago(job.created_at)} ago",
                at(job.run_at) if job.state in (State.SCHEDULED, State.RETRYABLE) else "",
                "" if job.state is State.COMPLETED else _message(job),
            )
            for job in page.jobs
        ],
    )
    if page.cursor is not None:
        note(f"there may be more: --before {page.cursor}")


@app.command()
def show(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job.")],
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Show a job and its history.

    With --json: {"job": {...}, "history": [...]}, every event with its "gen": the generation of the
    job that it ended. A job is given out under one generation at a time, and outcomes of earlier
    ones are refused.
    """
    from headrace.cli.output import print_json
    from headrace.cli.selection import job_ids
    from headrace.cli.session import inspect

    (wanted,) = job_ids([job_id])

    async def work(inspector: "Inspector") -> "tuple[Job, list[JobEvent]]":
        return await inspector.get(wanted), await inspector.history(wanted)

    job, history = inspect(database_url, embedded=embedded, work=work)
    if as_json:
        print_json({"job": job, "history": history})
    else:
        _print_job(job, history)


add_change(
    app,
    "cancel",
    lambda inspector, ids, actor, reason: inspector.cancel(ids, actor, reason),
    (*WAITING, State.RUNNING),
    "Cancel jobs; a worker that has one is asked to end it.",
    if_named=(State.RUNNING,),
    reasoned=True,
)
add_change(
    app,
    "retry",
    lambda inspector, ids, actor, _reason: inspector.retry(ids, actor),
    (State.RETRYABLE, State.DEAD),
    "Run jobs again now: retryable ones at once, dead ones from their first attempt.",
)
add_change(
    app,
    "promote",
    lambda inspector, ids, actor, _reason: inspector.promote(ids, actor),
    (State.SCHEDULED, State.RETRYABLE),
    "Make jobs that wait for their time due now.",
)
add_change(
    app,
    "delete",
    lambda inspector, ids, _actor, _reason: inspector.delete(ids),
    FINAL,
    "Delete jobs that are over, with their history and idempotency keys.",
)


def _print_job(job: "Job", history: "list[JobEvent]") -> None:
    from headrace.cli.history import data_of, history_rows
    from headrace.cli.output import at, print_pairs, print_table, say

    pairs = [
        ("id", str(job.id)),
        ("state", job.state.value),
        ("queue", job.queue),
        ("task", job.task),
        ("runs", f"{job.attempt} of {job.max_attempts}"),
        ("failures", f"{job.failures}, crashes {job.crashes}, snoozes {job.snoozes}"),
        ("priority", str(job.priority)),
        ("tenant", job.tenant),
        ("made", at(job.created_at)),
        ("due", at(job.run_at)),
        ("started", at(job.started_at)),
        ("over", at(job.settled_at) if job.state.final else ""),
        ("arguments", bytes(job.payload).decode()),
        ("result", "" if job.result is None else bytes(job.result).decode()),
        ("error", _message(job)),
        ("progress", _progress(job)),
    ]
    print_pairs((name, value) for name, value in pairs if value)
    _print_log(job)
    if not history:
        return
    say("")
    print_table(("at", "event", "by", "data"), history_rows(history))
    for event in history:
        stack = data_of(event).get("stack")
        if isinstance(stack, str):
            say(f"\nThe stack of the {event.kind} at {at(event.at)}:")
            say(indent(stack.rstrip(), "  "))


def _progress(job: "Job") -> str:
    from headrace.cli.output import at

    if (said := job.told.progress) is None:
        return ""
    return f"{said.fraction:.0%} {said.message} (at {at(said.at)}, run {said.attempt})"


def _print_log(job: "Job") -> None:
    from headrace.cli.output import at, print_table, say

    if job.told.log:
        say("")
        rows = [(at(line.at), str(line.attempt), line.text) for line in job.told.log]
        print_table(("at", "run", "log"), rows)
    if job.told.dropped:
        say(f"{job.told.dropped:,} lines are not kept.")


def _message(job: "Job") -> str:
    from headrace.cli.history import brief

    return "" if job.error is None else brief(job.error)
