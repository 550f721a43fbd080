"""headrace dlq: dead letters, the jobs that used up their attempts or were given up."""

import typer

from headrace.cli.change_command import add_change
from headrace.cli.jobs import list_jobs
from headrace.cli.options import (
    AsJson,
    Before,
    DatabaseUrl,
    Embedded,
    ErrorText,
    Limit,
    QueueName,
    Since,
    TaskName,
    Tenant,
    Until,
)
from headrace.model.state import State

app: typer.Typer = typer.Typer(help="Look at dead jobs and replay them.", no_args_is_help=True)


@app.command("list", short_help="List dead jobs, newest first.")
def list_dead(
    queue: QueueName = None,
    task: TaskName = None,
    tenant: Tenant = None,
    since: Since = None,
    until: Until = None,
    error: ErrorText = None,
    limit: Limit = 20,
    before: Before = None,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """List dead jobs, newest first; like `headrace jobs list --state dead`."""
    list_jobs(
        states=[State.DEAD],
        queue=queue,
        task=task,
        tenant=tenant,
        since=since,
        until=until,
        error=error,
        limit=limit,
        before=before,
        database_url=database_url,
        embedded=embedded,
        as_json=as_json,
    )


add_change(
    app,
    "replay",
    lambda inspector, ids, actor, _reason: inspector.replay(ids, actor),
    (State.DEAD,),
    "Make dead jobs available again, with all their attempts before them; exactly once.",
)
