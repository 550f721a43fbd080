"""What operators see and do, on PostgreSQL."""

from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec

from headrace.errors import JobNotFound, UnknownQueue, UnknownTask
from headrace.ledger.flows import PostgresFlows
from headrace.ledger.ids import first_id
from headrace.ledger.lane_ledger import as_view
from headrace.ledger.limiter import LedgerLimiter
from headrace.ledger.queries import Queries
from headrace.ledger.rows import Row, as_job
from headrace.ledger.schedules import PostgresSchedules
from headrace.ledger.topics import PostgresTopics
from headrace.model.cancellation import Cancellation
from headrace.model.depth import check_depth
from headrace.model.fleet import Fleet, Leader, WorkerSeen
from headrace.model.inspection import (
    BOUND,
    Answer,
    Found,
    JobEvent,
    JobFilter,
    Page,
    Promised,
    QueueCounts,
)
from headrace.model.job import Job
from headrace.model.names import check_name, unknown
from headrace.model.promise import read_promise
from headrace.model.state import State, Stored
from headrace.model.verdict import cancelled_error
from headrace.ports.flows import Flows
from headrace.ports.inspector import Answers
from headrace.ports.schedules import Schedules
from headrace.ports.topics import Topics

_WALK = 10_000
_EVENTS = 1_000
_AFTER_ALL = UUID(int=(1 << 128) - 1)
_LIVE = {State.SCHEDULED, State.RETRYABLE, State.AVAILABLE, State.RUNNING}


class LedgerInspector:
    """The ledger alone. A job runs for it when its row has an owner (direct mode)."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self.schedules: Schedules = PostgresSchedules(queries)
        self.flows: Flows = PostgresFlows(queries, self.cancel)
        self.topics: Topics = PostgresTopics(queries)

    @property
    def limiter(self) -> LedgerLimiter:
        """What keeps rate limits."""
        return LedgerLimiter(self._queries)

    async def find(self, wanted: JobFilter, *, limit: int, before: UUID | None = None) -> Found:
        """The ids of matching jobs, newest first; each call walks at most 10,000 rows.

        Raises:
            UnknownQueue: nothing was found, and there is no queue of the name that is wanted.
            UnknownTask: the same of the task, which no application has declared.
        """
        found = await self._find(wanted, limit, before)
        if not found.ids:
            await self._refuse_unknown(wanted, saw_all=found.cursor is None and before is None)
        return found

    async def _find(self, wanted: JobFilter, limit: int, before: UUID | None) -> Found:
        parameters = _conditions(wanted, limit, before)
        if wanted.states and set(wanted.states) <= _LIVE:
            (row,) = await self._queries.fetch("find_live", *parameters)
            if row["walked"] < _WALK:
                return _found(row, limit)
        only_dead = set(wanted.states) == {State.DEAD}
        (row,) = await self._queries.fetch("find_dead" if only_dead else "find_walk", *parameters)
        return _found(row, limit)

    async def _refuse_unknown(self, wanted: JobFilter, *, saw_all: bool) -> None:
        # Only the ledger's own queues have jobs, but jobs may be of a task that nobody declared.
        if wanted.queue is None and wanted.task is None:
            return
        (known,) = await self._queries.fetch("known_names")
        if wanted.queue is not None and wanted.queue not in known["queues"]:
            raise UnknownQueue(unknown("queue", wanted.queue, known["queues"]))
        if saw_all and wanted.task is not None and wanted.task not in known["tasks"]:
            raise UnknownTask(unknown("task", wanted.task, known["tasks"]))

    async def list_jobs(self, wanted: JobFilter, *, limit: int, before: UUID | None = None) -> Page:
        """Matching jobs, newest first. One that moved on meanwhile is shown as it is now."""
        found = await self.find(wanted, limit=limit, before=before)
        jobs = sorted(await self.get_many(found.ids), key=_newest_first)
        return Page(jobs=tuple(jobs), cursor=found.cursor)

    async def get(self, job_id: UUID) -> Job:
        """One job.

        Raises:
            JobNotFound: there is none with this id.
        """
        jobs = await self.get_many([job_id])
        if not jobs:
            raise JobNotFound(
                f"there is no job {job_id}; it was deleted, retired or never committed"
            )
        return jobs[0]

    async def get_many(self, ids: Sequence[UUID]) -> list[Job]:
        """Jobs as they are now, in no order; unknown ids are left out."""
        return [as_job(row) for row in await self._queries.fetch("get", list(ids), len(ids) == 1)]

    async def history(self, job_id: UUID, *kinds: str) -> list[JobEvent]:
        """A job's events, oldest first: the last thousand, for a job may snooze for ever."""
        rows = await self._queries.fetch("history", job_id, _EVENTS, list(kinds) or None)
        return [_event(row) for row in rows]

    async def cancel(
        self, ids: Sequence[UUID], actor: str, reason: str = "", *, untold: bool = False
    ) -> Answers:
        """Cancel jobs that no worker has; `untold`: a lane cannot be told, so that a relay must."""
        error = cancelled_error(actor, reason)
        return await self._change("cancel", ids, actor, error, untold, fits=_not_over)

    async def ask(self, ids: Sequence[UUID], actor: str, reason: str) -> set[UUID]:
        """Ask whoever has these jobs to end them; returns those that are not over."""
        return {row["id"] for row in await self._queries.fetch("ask", list(ids), actor, reason)}

    async def cancellations(self, n: int) -> list[Cancellation]:
        """Up to `n` jobs whose workers were asked to end them, and that are not over."""
        rows = await self._queries.fetch("cancellations", n)
        return [Cancellation(row["job_id"], row["actor"], row["reason"]) for row in rows]

    async def promote(self, ids: Sequence[UUID], actor: str) -> Answers:
        """Make scheduled and retryable jobs due now."""
        return await self._change("promote", ids, actor, fits=_ahead)

    async def replay(self, ids: Sequence[UUID], actor: str) -> Answers:
        """Make dead jobs available again, exactly once however often it is asked."""
        return await self._change("replay", ids, actor, fits=_dead)

    async def retry(self, ids: Sequence[UUID], actor: str) -> Answers:
        """Run again now: replays what is dead, promotes what waits."""
        replayed = await self.replay(ids, actor)
        rest = [one for one in ids if replayed[one] is Answer.UNFIT]
        return {**replayed, **await self.promote(rest, actor)}

    async def reprioritise(self, ids: Sequence[UUID], priority: int, actor: str) -> Answers:
        """Give jobs that no worker has another priority."""

        def fits(row: Row) -> bool:
            return _not_over(row) and row["priority"] != priority

        return await self._change("reprioritise", ids, actor, priority, fits=fits)

    async def delete(self, ids: Sequence[UUID]) -> Answers:
        """Delete jobs that are over, with their history and idempotency keys."""
        return await self._change("delete", ids, fits=_over)

    async def queues(self) -> list[QueueCounts]:
        """Every queue with its counts, by name."""
        return [_counts(row) for row in await self._queries.fetch("queues", BOUND + 1, None)]

    async def queue(self, name: str) -> QueueCounts:
        """One queue with its counts.

        Raises:
            UnknownQueue: there is none of this name.
        """
        rows = await self._queries.fetch("queues", BOUND + 1, name)
        if not rows:
            raise await self._unknown_queue(name)
        return _counts(rows[0])

    async def fleet(self) -> Fleet:
        """The workers, the leaders and the lane."""
        (lane,) = await self._queries.fetch("lane_view")
        workers = await self._queries.fetch("fleet")
        leaders = await self._queries.fetch("leaders")
        return Fleet(
            lane=as_view(lane),
            workers=tuple(_worker(row) for row in workers),
            leaders=tuple(Leader(**dict(row)) for row in leaders),
        )

    async def create_queue(self, name: str) -> bool:
        """Make a queue known; False if it was.

        Raises:
            UsageError: the name is not allowed.
        """
        return bool(await self._queries.fetch("create_queue", check_name("queue", name)))

    async def promise(self, name: str, promise: str) -> Promised:
        """Let a queue promise something else of its jobs.

        Raises:
            UnknownQueue: there is none of this name.
            UsageError: there is no such promise.
        """
        rows = await self._queries.fetch("promise", name, read_promise(name, promise))
        if not rows:
            raise await self._unknown_queue(name)
        return Promised(changed=rows[0]["changed"], lease=rows[0]["lease"])

    async def pause(self, name: str) -> bool:
        """Hand out no more jobs of a queue; False if it was paused."""
        return await self._pause(name, paused=True)

    async def resume(self, name: str) -> bool:
        """Hand out its jobs again; False if it was not paused."""
        return await self._pause(name, paused=False)

    async def max_depth(self, name: str, depth: int | None) -> bool:
        """Let a queue hold so many jobs at most; False if an operator has said so before."""
        said = None if depth is None else check_depth(name, depth)
        rows = await self._queries.fetch("max_depth", name, said)
        if not rows:
            raise await self._unknown_queue(name)
        return bool(rows[0]["changed"])

    async def _pause(self, name: str, *, paused: bool) -> bool:
        rows = await self._queries.fetch("pause", name, paused)
        if not rows:
            raise await self._unknown_queue(name)
        return bool(rows[0]["changed"])

    async def _unknown_queue(self, name: str) -> UnknownQueue:
        (known,) = await self._queries.fetch("known_names")
        return UnknownQueue(unknown("queue", name, known["queues"]))

    async def _change(
        self,
        statement: str,
        ids: Sequence[UUID],
        *parameters: object,
        fits: Callable[[Row], bool],
    ) -> Answers:
        """Run a statement that changes what it may, then ask why it left the others alone.

        `fits`: whether it would change such a row; one of these that was left was locked.
        """
        if not ids:
            return {}
        done = {row["id"] for row in await self._queries.fetch(statement, list(ids), *parameters)}
        left = [one for one in ids if one not in done]
        rows = await self._queries.fetch("standing", left) if left else []
        why = {row["id"]: _why(row, fits) for row in rows}
        return {one: Answer.DONE if one in done else why.get(one, Answer.MISSING) for one in ids}


def _why(row: Row, fits: Callable[[Row], bool]) -> Answer:
    if row["owned"]:
        return Answer.RUNNING
    return Answer.BUSY if fits(row) else Answer.UNFIT


def _not_over(row: Row) -> bool:
    return row["state"] in (Stored.LIVE, Stored.BLOCKED)


def _over(row: Row) -> bool:
    return not _not_over(row)


def _dead(row: Row) -> bool:
    return bool(row["state"] == Stored.DEAD)


def _ahead(row: Row) -> bool:
    return bool(row["state"] == Stored.LIVE and row["ahead"])


def _conditions(wanted: JobFilter, limit: int, before: UUID | None) -> tuple[object, ...]:
    until = _AFTER_ALL if wanted.until is None else first_id(wanted.until)
    return (
        until if before is None else min(until, before),
        UUID(int=0) if wanted.since is None else first_id(wanted.since),
        _WALK,
        limit,
        [state.value for state in wanted.states] or None,
        wanted.queue,
        wanted.task,
        wanted.tenant,
        wanted.error,
        None if wanted.settled_for is None else wanted.settled_for.total_seconds(),
        wanted.log,
    )


def _found(row: Row, limit: int) -> Found:
    ids = tuple(row["ids"])
    if len(ids) == limit:
        return Found(ids=ids, cursor=ids[-1])
    return Found(ids=ids, cursor=row["last"] if row["walked"] == _WALK else None)


def _newest_first(job: Job) -> int:
    return -job.id.int


def _event(row: Row) -> JobEvent:
    data = row["data"]
    return JobEvent(
        at=row["at"],
        gen=row["gen"],
        kind=row["kind"],
        actor=row["actor"],
        data=None if data is None else msgspec.Raw(data.encode()),
        host=row["host"],
    )


def _worker(row: Row) -> WorkerSeen:
    told = msgspec.json.decode(row["queues"], type=dict[str, int] | list[str])
    slots = sum(told.values()) if isinstance(told, dict) else None
    ran = row["busy"]
    return WorkerSeen(
        id=row["id"],
        host=row["host"],
        pid=row["pid"],
        queues=tuple(told),
        slots=slots,
        # Short jobs may have ended by hundreds that are not written yet: they need no slot.
        busy=ran if ran is None or slots is None else min(ran, slots),
        started_at=row["started_at"],
        silent=row["silent"],
        lease=row["lease"],
    )


def _counts(row: Row) -> QueueCounts:
    return QueueCounts(**{name: row[name] for name in QueueCounts.__struct_fields__})
