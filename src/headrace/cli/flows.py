"""headrace flows: look at jobs that were enqueued as one graph, cancel and retry them as one."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.options import AsJson, Before, DatabaseUrl, Embedded, Limit, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from headrace.model.flow import FlowCounts, FlowSeen
    from headrace.model.inspection import Answer
    from headrace.ports.inspector import Inspector

app: typer.Typer = typer.Typer(
    help="Look at flows, cancel and retry all of one.", no_args_is_help=True
)

FlowId = Annotated[str, typer.Argument(metavar="ID", help="The flow.")]

_COUNTS = ("live", "blocked", "completed", "dead", "cancelled")
_SHOWN = 200


@app.command("list")
def list_flows(
    limit: Limit = 20,
    before: Before = None,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """List flows, newest first, with how many of their jobs are how.

    With --json: {"flows": [{"id", "name", "live", "blocked", "completed", "dead", "cancelled"}]};
    go on with --before ID.
    """
    from headrace.cli.output import print_json, print_table
    from headrace.cli.selection import job_ids
    from headrace.cli.session import inspect

    start = next(iter(job_ids([before] if before else None, "a flow")), None)

    async def work(inspector: "Inspector") -> "list[FlowCounts]":
        return await inspector.flows.list_flows(limit, start)

    flows = inspect(database_url, embedded=embedded, work=work)
    if as_json:
        print_json({"flows": flows})
        return
    print_table(
        ("id", *_COUNTS, "name"),
        [(str(one.id), *(f"{getattr(one, n):,}" for n in _COUNTS), one.name) for one in flows],
        numbers=_COUNTS,
    )


@app.command(short_help="Show the jobs of a flow, and what each comes after.")
def show(
    flow_id: FlowId,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Show the jobs of a flow, each with those that it comes after; a table shows 200 of them.

    With --json: {"id", "name", "steps": [{"id", "step", "task", "state", "gen", "after": [ID]}]}.
    """
    from headrace.cli.output import note, print_json, print_table
    from headrace.cli.selection import job_ids
    from headrace.cli.session import inspect

    (wanted,) = job_ids([flow_id], "a flow")

    async def work(inspector: "Inspector") -> "FlowSeen":
        return await inspector.flows.get(wanted)

    flow = inspect(database_url, embedded=embedded, work=work)
    if as_json:
        print_json(flow)
        return
    names = {step.id: step.step for step in flow.steps}
    print_table(
        ("id", "state", "step", "after"),
        [
            (str(step.id), step.state.value, step.step, _names(step.after, names))
            for step in flow.steps[:_SHOWN]
        ],
    )
    if len(flow.steps) > _SHOWN:
        note(f"{len(flow.steps) - _SHOWN:,} more jobs: --json shows them all")


@app.command(short_help="Cancel all of a flow that is not over.")
def cancel(
    flow_id: FlowId,
    reason: Reason = "",
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Cancel all of a flow that is not over; a worker that has a job of it is asked to end that.

    With --json: {"flow", "counts": {answer: n}}, with the answers of `headrace jobs cancel`.
    """
    from headrace.cli.output import print_json, say
    from headrace.cli.selection import job_ids
    from headrace.cli.session import actor, inspect
    from headrace.model.inspection import Answer

    (wanted,) = job_ids([flow_id], "a flow")

    async def work(inspector: "Inspector") -> "Mapping[UUID, Answer]":
        return await inspector.flows.cancel(wanted, actor(), reason)

    answers = inspect(database_url, embedded=embedded, work=work)
    counts = Counter(answer.value for answer in answers.values())
    if as_json:
        print_json({"flow": wanted, "counts": counts})
    else:
        told = ", ".join(f"{counts[answer]:,} {answer}" for answer in Answer if counts[answer])
        say(f"flow {wanted}: {told or 'nothing to cancel'}")


@app.command(short_help="Run what is dead or cancelled of a flow again.")
def retry(
    flow_id: FlowId,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Run what is dead or cancelled of a flow again, each job after those that it comes after.

    With --json: {"flow", "retried"}.
    """
    from headrace.cli.output import print_json, say
    from headrace.cli.selection import job_ids
    from headrace.cli.session import actor, inspect

    (wanted,) = job_ids([flow_id], "a flow")

    async def work(inspector: "Inspector") -> "list[UUID]":
        return await inspector.flows.retry(wanted, actor())

    retried = len(inspect(database_url, embedded=embedded, work=work))
    if as_json:
        print_json({"flow": wanted, "retried": retried})
    else:
        say(f"flow {wanted}: {retried:,} jobs come again")


def _names(ids: "tuple[UUID, ...]", names: "dict[UUID, str]") -> str:
    """Up to three of them."""
    told = [names.get(one, str(one)) for one in ids[:3]]
    return ", ".join(told) + (f" and {len(ids) - 3:,} more" if len(ids) > 3 else "")
