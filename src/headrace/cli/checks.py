"""headrace doctor and headrace verify: is everything well, and is nothing lost."""

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.options import AsJson, DatabaseUrl, Embedded

if TYPE_CHECKING:
    from headrace.ledger.queries import Queries
    from headrace.model.check import Verdict
    from headrace.model.finding import Finding


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(short_help="Say what to mend in the servers and the workers.")(doctor)
    app.command(short_help="Check that nothing is lost and nothing ran twice.")(verify)


def doctor(
    database_url: DatabaseUrl = None, embedded: Embedded = False, as_json: AsJson = False
) -> None:
    """Look at the database, the workers and, where their URLs are set, the cache and the lane.

    Status 1 if a line fails. With --json: {"findings": [{"level", "name", "text", "fix"}, ...]};
    a level is ok, warn or fail.
    """
    import asyncio

    from headrace.cli.output import print_json, print_table
    from headrace.cli.session import database
    from headrace.model.finding import Level

    with database(database_url, embedded=embedded) as url:
        findings = asyncio.run(_examine(url))
    if as_json:
        print_json({"findings": findings})
    else:
        print_table(
            ("", "what", "how it is"),
            [
                (one.level.value, one.name, one.text + (f" -> {one.fix}" if one.fix else ""))
                for one in findings
            ],
        )
    if any(one.level is Level.FAIL for one in findings):
        raise typer.Exit(1)


async def _examine(url: str) -> "list[Finding]":
    from dataclasses import replace
    from functools import partial

    from headrace.cache import doctor as cache_doctor
    from headrace.config import read_settings
    from headrace.lanes.redis import doctor as lane_doctor
    from headrace.ledger.doctor import examine, lane_as_told
    from headrace.model.finding import Level

    settings = read_settings({})
    findings = await examine(url, prepared=settings.prepared_statements)
    told = partial(lane_as_told, url, prepared=settings.prepared_statements)
    redis_url = settings.redis_url
    if settings.cache_url is not None:
        findings += await cache_doctor.examine(settings.cache_url, redis_url)
    if redis_url is None:
        # Whoever asks is configured as the workers are: such workers run nothing.
        view, _ = await told()
        return findings + [replace(one, level=Level.FAIL) for one in lane_doctor.unconfigured(view)]
    return findings + await lane_doctor.examine(redis_url, told)


def verify(
    quiesced: Annotated[
        bool,
        typer.Option(
            "--quiesced",
            help="Nothing comes in and faults are healed: check everything, of all jobs.",
        ),
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair what can be repaired safely.")
    ] = False,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Check that the ledger holds what it promises: nothing lost, nothing twice.

    Without --quiesced the newest 100,000 jobs are checked, which is cheap enough for every hour.
    Where a lane gives out the jobs it is compared with the ledger; what looks wrong is watched for
    two leases first, since jobs move meanwhile. Status 1 if something does not hold.
    With --json: {"checks": [{"check": {"name", "sentence", "quiesced", "repair"},
    "breaches": [{"subject", "detail"}, ...], "repaired"}, ...]}.
    """
    import asyncio

    from headrace.cli.output import print_json
    from headrace.cli.session import database
    from headrace.config import read_settings
    from headrace.ledger.queries import Queries
    from headrace.ledger.verify import verify as check

    async def work(url: str) -> "list[Verdict]":
        async with Queries(url, prepared=read_settings({}).prepared_statements) as queries:
            verdicts = await check(queries, quiesced=quiesced, repair=repair)
            return verdicts + await _audit(queries, repair=repair)

    with database(database_url, embedded=embedded) as url:
        verdicts = asyncio.run(work(url))
    if as_json:
        print_json({"checks": verdicts})
    else:
        _print_verdicts(verdicts)
    if any(verdict.breaches for verdict in verdicts):
        raise typer.Exit(1)


async def _audit(queries: "Queries", *, repair: bool) -> "list[Verdict]":
    from headrace.cli.output import note
    from headrace.config import read_settings
    from headrace.lanes.redis.census import RedisCensus
    from headrace.ledger.lane_ledger import PostgresLaneLedger
    from headrace.model.lane_view import Mode
    from headrace.relay.audit import audit

    ledger = PostgresLaneLedger(queries)
    settings = read_settings({})
    if settings.redis_url is None:
        if (await ledger.view()).mode is Mode.HYBRID:
            note("the lane that gives out the jobs is not checked: HEADRACE_REDIS_URL is not set")
        return []
    lease = max(settings.lease.total_seconds(), await ledger.longest_lease())
    census = RedisCensus(settings.redis_url, lease=lease)
    try:
        return await audit(ledger, census, patience=2 * lease, repair=repair)
    finally:
        await census.close()


def _print_verdicts(verdicts: "list[Verdict]") -> None:
    from headrace.cli.output import print_table, say

    print_table(
        ("", "check", "what must hold"),
        [
            (
                "fail" if verdict.breaches else "ok",
                verdict.check.name,
                verdict.check.sentence + (" Repaired." if verdict.repaired else ""),
            )
            for verdict in verdicts
        ],
    )
    for verdict in verdicts:
        for breach in verdict.breaches:
            say(f"{verdict.check.name}: {breach.subject}: {breach.detail}")
