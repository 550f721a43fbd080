"""Looks at a ledger and at its server, and says what to mend."""

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime

from headrace.errors import ConfigError, LedgerError, SchemaError
from headrace.ledger import migrate
from headrace.ledger.lane_ledger import as_view
from headrace.ledger.queries import Queries
from headrace.ledger.retention import AHEAD, RETENTION
from headrace.ledger.rows import Row
from headrace.model.finding import Finding, Level
from headrace.model.lane_view import LaneView

_MANY_IN_DEFAULT = 10_000
_LONG = 600.0
_CLOCK = 2.0


async def examine(url: str, *, prepared: bool = True) -> list[Finding]:
    """Look at everything that can be looked at; `prepared` as in `Queries`."""
    try:
        async with Queries(url, prepared=prepared, check_schema=False) as queries:
            server = await _server(queries)
            schema = await _schema(queries)
            if schema.level is Level.FAIL:
                return [*server, schema]
            return [*server, schema, *await _partitions(queries), *await _workers(queries)]
    except (ConfigError, LedgerError) as exc:
        return [Finding(Level.FAIL, "connection", str(exc))]


async def lane_as_told(url: str, *, prepared: bool = True) -> tuple[LaneView | None, float]:
    """How the lane is, and the seconds of the ledger's clock before this host's.

    None for the first where the ledger cannot be read.
    """
    try:
        async with Queries(url, prepared=prepared) as queries:
            (row,) = await queries.fetch("clock")
            ahead = row["now"] - time.time()
            (row,) = await queries.fetch("lane_view")
            return as_view(row), ahead
    except (ConfigError, LedgerError):
        return None, 0.0


async def _server(queries: Queries) -> list[Finding]:
    (row,) = await queries.fetch("doctor_server")
    return [
        Finding(Level.OK, "connection", f"PostgreSQL {row['version']}"),
        _durability(row),
        _clock(row["clock"] - time.time()),
        _transactions(row["oldest"] or 0.0),
    ]


def _durability(row: Row) -> Finding:
    off = [
        name for name in ("fsync", "full_page_writes", "synchronous_commit") if row[name] == "off"
    ]
    if off:
        return Finding(
            Level.WARN,
            "durability",
            f"{' and '.join(off)} off: a crash of the machine may lose jobs that were acknowledged",
            "turn them on, unless the data is for tests",
        )
    return Finding(Level.OK, "durability", "what is acknowledged is on disk")


def _clock(ahead: float) -> Finding:
    text = f"PostgreSQL's clock is {ahead:+.1f} s from this host's"
    if abs(ahead) > _CLOCK:
        return Finding(
            Level.WARN, "clock", text, "synchronise both; schedules follow PostgreSQL's clock"
        )
    return Finding(Level.OK, "clock", text)


def _transactions(oldest: float) -> Finding:
    if oldest > _LONG:
        return Finding(
            Level.WARN,
            "transactions",
            f"the oldest has been open for {oldest / 60:.0f} min; vacuum cannot clean behind it",
            "end it: SELECT pid, query FROM pg_stat_activity ORDER BY xact_start",
        )
    return Finding(Level.OK, "transactions", f"the oldest has been open for {oldest:.0f} s")


async def _schema(queries: Queries) -> Finding:
    async with queries.connection() as connection:
        try:
            await migrate.check(connection)
        except SchemaError as exc:
            return Finding(Level.FAIL, "schema", str(exc))
        have, want = await migrate.applied(connection), migrate.newest()
    fits = "as this code" if have == want else f"later than this code ({want}), which works with it"
    return Finding(Level.OK, "schema", f"at {have}, {fits}")


async def _partitions(queries: Queries) -> list[Finding]:
    (row,) = await queries.fetch("doctor_partitions", _MANY_IN_DEFAULT + 1)
    (server,) = await queries.fetch("doctor_server")
    return [
        _ahead(row["ahead"]),
        _oldest(row["oldest"], datetime.fromtimestamp(server["clock"], UTC).date()),
        _default(row["in_default"]),
        _vacuum(row, server["autovacuum"]),
    ]


def _ahead(days: int) -> Finding:
    text = f"made for {days} days, today included"
    if days == 0:
        return Finding(
            Level.FAIL,
            "partitions",
            "none for today: jobs go to the DEFAULT partition, which is slower to clean",
            "start a worker, whose keeper makes them",
        )
    if days < AHEAD:
        return Finding(Level.WARN, "partitions", text, "start a worker, whose keeper makes them")
    return Finding(Level.OK, "partitions", text)


def _oldest(oldest: date | None, today: date) -> Finding:
    days = 0 if oldest is None else (today - oldest).days
    text = f"the oldest partition is {days} {'day' if days == 1 else 'days'} old"
    if days > RETENTION.days + 2:
        return Finding(
            Level.WARN,
            "retention",
            text,
            "replay or clean its dead jobs, and see the log of the keeper",
        )
    return Finding(Level.OK, "retention", text)


def _default(rows: int) -> Finding:
    if rows > _MANY_IN_DEFAULT:
        return Finding(
            Level.WARN,
            "default",
            f"over {_MANY_IN_DEFAULT:,} jobs in the DEFAULT partition",
            "replay or clean dead jobs; look at the line on partitions",
        )
    return Finding(Level.OK, "default", f"{rows:,} jobs in the DEFAULT partition")


def _vacuum(row: Row, autovacuum: str) -> Finding:
    dead, live = row["dead_tuples"], row["live_tuples"]
    text = f"{dead:,} dead tuples beside {live:,} live ones"
    if autovacuum != "on":
        return Finding(Level.FAIL, "vacuum", "autovacuum is off", "turn it on")
    if dead > max(100_000, live):
        return Finding(
            Level.WARN, "vacuum", text, "end long transactions; give autovacuum more workers"
        )
    return Finding(Level.OK, "vacuum", text)


async def _workers(queries: Queries) -> list[Finding]:
    (row,) = await queries.fetch("doctor_workers", migrate.newest())
    return [
        *_served(row["living"], row["unserved"]),
        *_earlier(row["living"], row["earlier"]),
        _paused(row["paused"]),
        *_strangers(await queries.fetch("doctor_strangers", _MANY_IN_DEFAULT)),
    ]


def _strangers(tasks: Sequence[Row]) -> list[Finding]:
    if not tasks:
        return []
    text = ", ".join(f"{row['jobs']:,} of {row['task']}" for row in tasks)
    return [
        Finding(
            Level.WARN,
            "tasks",
            f"no worker knows the task of these jobs: {text}",
            "start workers of the code that has it, or cancel the jobs",
        )
    ]


def _served(living: int, unserved: Sequence[str]) -> list[Finding]:
    """Where no worker lives, queues without one are no second fact."""
    due = ", ".join(unserved)
    if living == 0:
        text = f"none lives, and jobs are due in {due}" if due else "none lives"
        return [Finding(Level.WARN, "workers", text, "start one: headrace worker APP")]
    queues = Finding(Level.OK, "queues", "each with due jobs has a worker")
    if due:
        text, fix = f"due jobs but no living worker: {due}", "start a worker that serves them"
        queues = Finding(Level.WARN, "queues", text, fix)
    return [Finding(Level.OK, "workers", f"{living} live"), queues]


def _earlier(living: int, earlier: int) -> list[Finding]:
    """None is told of a fleet that is not being upgraded."""
    if not earlier:
        return []
    text = f"{earlier} of {living} living workers run earlier code than this"
    return [Finding(Level.WARN, "upgrade", text, "start them anew with this version")]


def _paused(paused: Sequence[str]) -> Finding:
    if paused:
        return Finding(
            Level.WARN,
            "paused",
            ", ".join(paused),
            "headrace queues resume NAME, once they may run",
        )
    return Finding(Level.OK, "paused", "no queue is")
