"""headrace lane: whether Redis or Valkey gives out the jobs."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.options import AsJson, DatabaseUrl, Embedded, RedisUrl
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.model.lane_view import LaneView
    from headrace.ports.lane import Lane
    from headrace.ports.lane_ledger import LaneLedger


class Step(StrEnum):
    """What to do about the lane."""

    STATUS = "status"
    ON = "on"
    OFF = "off"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="Let Redis or Valkey give out the jobs, or PostgreSQL alone.")(lane)


def lane(
    step: Annotated[
        Step,
        typer.Argument(help="status; on: the lane gives out jobs; off: PostgreSQL does."),
    ] = Step.STATUS,
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Show how jobs are given out, or switch it, while workers run.

    A lane is used by itself once HEADRACE_REDIS_URL is set for the workers; `off` keeps it off
    until `on`. No job is lost or run twice by a switch; after `off`, jobs that were in the lane
    wait up to twenty seconds. The ledger is named as in the keys of its lane, {headrace:LEDGER}:*.
    With --json: {"mode", "epoch", "held", "voted", "calm", "ledger"}.
    """
    import asyncio

    from headrace.cli.output import print_json, say
    from headrace.cli.session import database

    if embedded and redis_url:
        raise UsageError("both a Redis URL and --embedded are given; choose one")
    with database(database_url, embedded=embedded) as url:
        view = asyncio.run(_work(step, url, redis_url))
    if as_json:
        print_json(as_document(view))
    else:
        say(as_sentence(view))


def as_document(view: "LaneView") -> dict[str, object]:
    """How the lane is, for machines."""
    from headrace.model.lane_view import short

    return {
        "mode": view.mode,
        "epoch": view.epoch,
        "held": view.held,
        "voted": view.voted,
        "calm": view.calm,
        "ledger": short(view.ledger),
    }


async def _work(step: Step, database_url: str, redis_url: str | None) -> "LaneView":
    from headrace.config import read_settings
    from headrace.lanes.redis.lane import RedisLane
    from headrace.ledger.lane_ledger import PostgresLaneLedger
    from headrace.ledger.queries import Queries
    from headrace.relay.switch import switch_off, switch_on

    settings = read_settings({"redis_url": redis_url})
    lane = None
    if settings.redis_url is not None:
        lane = RedisLane(settings.redis_url, lease=settings.lease.total_seconds())
    async with Queries(database_url, prepared=settings.prepared_statements) as queries:
        ledger = PostgresLaneLedger(queries)
        try:
            if step is Step.OFF:
                return await switch_off(ledger, lane)
            if step is Step.ON:
                return await switch_on(ledger, lane)
            return await _status(ledger, lane)
        finally:
            if lane is not None:
                await lane.close()


async def _status(ledger: "LaneLedger", lane: "Lane | None") -> "LaneView":
    """How the lane is, as the ledger says; notes where the lane does not agree."""
    from headrace.cli.output import note
    from headrace.errors import LaneError

    view = await ledger.view()
    if lane is None:
        return view
    lane.belong_to(view.ledger)
    try:
        seen = await lane.seen()
    except LaneError as exc:
        note(str(exc))
        return view
    view = await ledger.view()
    if seen is not None and not view.owns(seen):
        note(
            f"the lane tells of what this database never did (epoch {seen.epoch}, here "
            f"{view.epoch}): the database was restored, or is a copy; a worker with "
            "HEADRACE_REDIS_URL builds the lane anew, or gives the database one of its own"
        )
    return view


def as_sentence(view: "LaneView") -> str:
    """How the lane is, for a person."""
    from headrace.model.lane_view import short

    if view.mode == "hybrid":
        said = "the lane gives out the jobs"
    elif view.mode == "rebuild":
        said = "the lane is being built; a worker with HEADRACE_REDIS_URL does it"
    else:
        why = ", by command" if view.held else ", since most workers could not reach the lane"
        said = "PostgreSQL gives out the jobs" + (why if view.held or view.voted else "")
    waits = ""
    if not view.calm:
        of = "jobs from before the switch" if view.fence is not None else "all jobs"
        waits = f"; {of} wait until every worker has said what it holds, or its lease is over"
    return f"{said} (epoch {view.epoch}, ledger {short(view.ledger)}){waits}"
