"""The commands that change jobs: one shape for all, so that they can be learned once."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import typer

from headrace.cli.options import (
    All,
    AsJson,
    AtMost,
    DatabaseUrl,
    DryRun,
    Embedded,
    ErrorText,
    Ids,
    QueueName,
    Reason,
    Since,
    States,
    TaskName,
    Tenant,
    Until,
    Yes,
)
from headrace.model.state import State

if TYPE_CHECKING:
    from headrace.ports.inspector import Answers, Inspector

Verb = Callable[["Inspector", Sequence[UUID], str, str], Awaitable["Answers"]]


def add_change(
    app: typer.Typer,
    name: str,
    verb: Verb,
    allowed: tuple[State, ...],
    does: str,
    *,
    if_named: tuple[State, ...] = (),
    reasoned: bool = False,
) -> None:
    """Add a command.

    Args:
        app: the group to add it to.
        name: of the command.
        verb: what it does, given the inspector, ids, who asks, and why.
        allowed: the states of jobs that it can be done to.
        does: one sentence for --help.
        if_named: those of them that a filter finds only where it names them.
        reasoned: a reason can be given.
    """
    only = f" ({', '.join(if_named)} only by --state)" if if_named else ""
    how = (
        f"{does}\n\nGive ids, or choose with a filter among {', '.join(allowed)} jobs{only}; a "
        'filter asks before it changes anything, unless --yes.\n\nWith --json: {"answers": '
        '{ID: answer}} for ids, {"counts": {answer: n}} for a filter, {"matched": n} with '
        "--dry-run. An answer is done, starting (done, but a run of it may be starting: Redis "
        "could not tell), asked (a worker that has it is asked to end it), running, unknown "
        "(Redis could not tell), busy, unfit or missing. Status 1 where the answer for an "
        "id is neither done nor asked."
    )

    def command(
        ids: Ids = None,
        states: States = None,
        queue: QueueName = None,
        task: TaskName = None,
        tenant: Tenant = None,
        since: Since = None,
        until: Until = None,
        error: ErrorText = None,
        everything: All = False,
        reason: Reason = "",
        limit: AtMost = None,
        dry_run: DryRun = False,
        yes: Yes = False,
        database_url: DatabaseUrl = None,
        embedded: Embedded = False,
        as_json: AsJson = False,
    ) -> None:
        from headrace.cli.changing import Connection, change_jobs, count_jobs
        from headrace.cli.selection import Selection, job_filter, job_ids
        from headrace.cli.session import actor
        from headrace.cli.unfit import why_unfit

        wanted = job_filter(
            states=states,
            queue=queue,
            task=task,
            tenant=tenant,
            since=since,
            until=until,
            error=error,
        )
        selection = Selection(
            ids=job_ids(ids), wanted=wanted, everything=everything, limit=limit
        ).among(*allowed, if_named=if_named)
        connection = Connection(url=database_url, embedded=embedded, json=as_json)
        if dry_run:
            count_jobs(connection, selection)
            return

        async def change(inspector: "Inspector", chosen: Sequence[UUID]) -> "Answers":
            return await verb(inspector, chosen, actor(), reason)

        question = "" if yes else name.capitalize()
        change_jobs(
            connection,
            selection,
            change,
            question=question,
            unfit=lambda state: why_unfit(name, allowed, state),
        )

    if not reasoned:
        signature = inspect.signature(command)
        kept = [one for one in signature.parameters.values() if one.name != "reason"]
        command.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined] # what typer reads
    app.command(name, help=how, short_help=does)(command)
