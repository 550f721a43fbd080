"""Rows of the ledger as values, and values as columns."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from headrace.model.cancellation import Cancellation
from headrace.model.job import Beat, Delivery, Headers, Job, NewJob, Settlement
from headrace.model.lane_view import LaneView, Mode
from headrace.model.made_at import made_at
from headrace.model.promise import Promises, promises_of
from headrace.model.state import Stored, derive_state
from headrace.model.task import Declaration
from headrace.model.told import Told

# What the driver makes of infinity, which raw SQL can write, has no time zone.
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_ALL_STANDARD = Promises()
_NOTHING_TOLD = Told()


class Row(Protocol):
    """A row of any driver: columns by name, and in order."""

    def __getitem__(self, key: str, /) -> Any:  # noqa: ANN401 - a column of any type
        """The value of a column."""

    def __iter__(self) -> Iterator[Any]:
        """The values in the order of the statement."""


def insert_columns(
    jobs: Sequence[NewJob], queue_ids: Mapping[str, int]
) -> tuple[list[Any] | None, ...]:
    """The parameters of insert.sql."""
    delays = [None if job.delay is None else job.delay.total_seconds() for job in jobs]
    return (
        [job.id for job in jobs],
        _once([queue_ids[job.queue] for job in jobs]),
        _once([job.task for job in jobs]),
        _once([job.priority for job in jobs]),
        _once([job.max_attempts for job in jobs]),
        _if_any(delays),
        _if_any([job.run_at for job in jobs]),
        [job.payload.decode() for job in jobs],
        _once([job.tenant for job in jobs]),
        _once([job.rerun_on_crash for job in jobs]),
        _if_any([_text(job.headers) for job in jobs]),
    )


def completion_columns(batch: Sequence[Settlement]) -> tuple[list[Any] | None, ...]:
    """The parameters of settle_completed.sql after the worker."""
    return (
        [one.id for one in batch],
        _once([one.gen for one in batch]),
        [one.ran for one in batch],
        _if_any([one.result for one in batch]),
    )


def _once(column: list[Any]) -> list[Any]:
    """A column of one value is sent as that value alone: packing each costs more than making it."""
    return column[:1] if len(set(column)) == 1 else column


def _if_any(column: list[Any]) -> list[Any] | None:
    return None if column.count(None) == len(column) else column


def settle_columns(batch: Sequence[Settlement]) -> tuple[list[object], ...]:
    """The parameters of settle.sql after the worker."""
    return (
        [one.id for one in batch],
        [one.gen for one in batch],
        [int(one.state) for one in batch],
        [one.failed for one in batch],
        [one.snoozed for one in batch],
        [one.delay for one in batch],
        [one.ran for one in batch],
        [one.result for one in batch],
        [one.error for one in batch],
    )


def task_columns(
    tasks: Sequence[Declaration], queue_ids: Mapping[str, int]
) -> tuple[list[object], ...]:
    """The parameters of declare_tasks.sql."""
    return (
        [task.name for task in tasks],
        [queue_ids[task.queue] for task in tasks],
        [task.priority for task in tasks],
        [task.max_attempts for task in tasks],
        [task.rerun_on_crash for task in tasks],
    )


def insert_document(jobs: Sequence[NewJob]) -> str:
    """The parameter of insert_docs.sql."""
    return msgspec.json.encode([_document(job) for job in jobs]).decode()


def tick_document(job: NewJob) -> dict[str, Any]:
    """One of the documents for a job whose id PostgreSQL makes."""
    document = _document(job)
    del document["id"]
    return document


def _document(job: NewJob) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": str(job.id),
        "task": job.task,
        "queue": job.queue,
        "priority": job.priority,
        "max_attempts": job.max_attempts,
        "rerun_on_crash": job.rerun_on_crash,
        "tenant": job.tenant,
        "args": msgspec.Raw(job.payload),
    }
    if job.delay is not None:
        document["delay"] = job.delay.total_seconds()
    if job.run_at is not None:
        document["run_at"] = job.run_at.isoformat()
    if job.unique is not None:
        document["unique"] = job.unique.document()
    if job.headers is not None:
        document["headers"] = job.headers
    if job.links is not None:
        document.update(job.links.document())
    return document


def _text(headers: Headers | None) -> str | None:
    return None if headers is None else msgspec.json.encode(headers).decode()


def as_headers(text: str | None) -> Headers | None:
    """The headers of a row."""
    return None if text is None else msgspec.json.decode(text)


def as_delivery(row: Row, queue: str, call: int) -> Delivery:
    """A row of claim.sql, column by column, in a worker's hands."""
    job_id, gen, task, payload, level, failures, crashes, most, tenant, rerun, headers, _ = row
    return Delivery(
        id=job_id,
        gen=gen,
        queue=queue,
        task=task,
        payload=payload.encode(),
        priority=level,
        failures=failures,
        crashes=crashes,
        max_attempts=most,
        tenant=tenant,
        rerun_on_crash=rerun,
        headers=as_headers(headers),
        call=call,
    )


def as_beat(rows: Sequence[Row]) -> Beat:
    """The rows of beat.sql, one for each attempt that is lost, as the reply to a heartbeat."""
    if not rows:
        return Beat(alive=False)
    lost = ((row["lost_id"], row["lost_gen"]) for row in rows if row["lost_id"] is not None)
    first = rows[0]
    view = LaneView(
        first["epoch"],
        Mode(first["mode"]),
        calm=first["calm"],
        voted=first["voted"],
        ledger=first["ledger"],
        promises=as_promises(first["promises"]),
    )
    asked = first["cancellations"]
    wanted = msgspec.json.decode(asked, type=tuple[Cancellation, ...]) if asked else ()
    return Beat(alive=True, lost=frozenset(lost), view=view, cancellations=wanted)


def as_promises(said: str | None) -> Promises:
    """What headrace.promises() returned."""
    return _ALL_STANDARD if said is None else promises_of(json.loads(said))


def as_job(row: Row) -> Job:
    """A row as people see it."""
    run_at = row["run_at"] if row["run_at"].tzinfo else _NEVER
    runs = row["failures"] + row["crashes"]
    running = row["state"] == Stored.LIVE and row["owner"] is not None
    return Job(
        id=row["id"],
        task=row["task"],
        queue=row["queue"],
        state=derive_state(
            row["state"],
            run_at=run_at,
            now=row["now"],
            failures=row["failures"],
            running=running,
        ),
        priority=row["priority"],
        gen=row["gen"],
        attempt=runs + (running or row["state"] == Stored.COMPLETED or _cancelled_itself(row)),
        failures=row["failures"],
        crashes=row["crashes"],
        snoozes=row["snoozes"],
        max_attempts=row["max_attempts"],
        created_at=made_at(row["id"]),
        run_at=run_at,
        started_at=row["started_at"],
        settled_at=row["settled_at"],
        tenant=row["tenant"],
        payload=msgspec.Raw(row["payload"].encode()),
        result=None if row["result"] is None else msgspec.Raw(row["result"].encode()),
        error=None if row["error"] is None else json.loads(row["error"]),
        told=_NOTHING_TOLD if row["told"] is None else msgspec.json.decode(row["told"], type=Told),
    )


def _cancelled_itself(row: Row) -> bool:
    """Whether a run of the job cancelled it: an operator's cancel begins a new generation.

    What ended while it waited for a slot ran for no time.
    """
    by_worker = row["state"] == Stored.CANCELLED and row["settled_gen"] == row["gen"]
    return bool(by_worker and row["started_at"] != row["settled_at"])
