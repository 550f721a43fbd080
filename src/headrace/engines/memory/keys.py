"""Unique keys in memory: which job holds one, and what becomes of another (ledger/functions)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec

from headrace.engines.memory.row import Row
from headrace.errors import DuplicateJob
from headrace.model.job import NewJob
from headrace.model.unique import Unique


class Hold(NamedTuple):
    """Who has a key.

    Attributes:
        until: as in `Unique`; None: for a time alone.
        ends: when it is over in any case.
        replaced_by: the last job that put its arguments into the one that holds it.
    """

    job_id: UUID
    until: str | None
    ends: datetime | None
    replaced_by: UUID | None = None


Key = tuple[object, ...]


class Keys:
    """The keys of all jobs.

    Args:
        rows: the jobs.
    """

    def __init__(self, rows: Mapping[UUID, Row]) -> None:
        self._rows = rows
        self._held: dict[Key, Hold] = {}

    def take(self, job: NewJob, unique: Unique, now: datetime, due: datetime) -> UUID:
        """Who has the key of a job from now on: the job, or the one that holds it.

        Raises:
            DuplicateJob: another holds it, and the job is not to be a second one.
        """
        key, held = key_of(job, unique), self._held.get(key_of(job, unique))
        life = unique.for_ if isinstance(unique.for_, timedelta) else None
        mine = Hold(job.id, unique.until, None if life is None else now + life)
        if held is None or held.job_id == job.id or (held.ends is not None and held.ends < now):
            self._held[key] = mine
            return job.id
        if job.id in self._rows:
            return job.id  # a repeated call, whoever has the key by now
        if held.replaced_by == job.id:
            return held.job_id
        if not self._holds(held):
            self._held[key] = mine
            return job.id
        if unique.on_conflict == "raise":
            raise DuplicateJob(
                f"job {held.job_id} has the unique key of this one and is "
                f'"{held.until or "window"}"; wait for it, or choose another on_conflict'
            )
        if unique.on_conflict in ("replace", "debounce"):
            self._replace(held, job, due if unique.on_conflict == "debounce" else None)
            self._held[key] = held._replace(replaced_by=job.id)
        return held.job_id

    def _replace(self, held: Hold, job: NewJob, due: datetime | None) -> None:
        row = self._rows[held.job_id]
        if held.until not in ("queued", "started"):
            raise DuplicateJob(
                f"job {held.job_id} has the unique key of this one by another rule "
                f'("{held.until or "window"}") and cannot be replaced; let all that share a key '
                "say the same"
            )
        row.new = msgspec.structs.replace(row.new, payload=job.payload)
        if due is not None:
            row.gen += 1
            row.fall_due(due)

    def _holds(self, held: Hold) -> bool:
        if held.until is None:
            return True
        row = self._rows.get(held.job_id)
        if row is None or row.over:
            return False
        if held.until == "done":
            return True
        return row.owner is None and (
            held.until == "queued" or not (row.failures + row.crashes + row.snoozes)
        )

    def forget(self, job_id: UUID) -> None:
        """A job is deleted, and its keys with it."""
        self._held = {key: held for key, held in self._held.items() if held.job_id != job_id}


def key_of(job: NewJob, unique: Unique) -> Key:
    """What makes two jobs the same."""
    by: object = unique.key
    if by is None:
        args = msgspec.json.decode(job.payload)
        by = args if unique.by is None else {name: args.get(name) for name in unique.by}
        by = msgspec.json.encode(by, order="deterministic")
    return (job.tenant, job.task, by, job.queue if unique.per_queue else None)
