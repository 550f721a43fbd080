"""What operators see and do with jobs in memory."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from headrace.engines.memory.book import Book, Queue
from headrace.engines.memory.row import Row
from headrace.engines.memory.topics import MemoryTopics
from headrace.engines.memory.unlimited import NoLimits, NoSchedules, refusal
from headrace.engines.memory.unlinked import NoFlows
from headrace.errors import JobNotFound, UnknownQueue, UnknownTask
from headrace.model.cancellation import Cancellation
from headrace.model.fleet import Fleet, WorkerSeen
from headrace.model.inspection import (
    Answer,
    Found,
    JobEvent,
    JobFilter,
    Page,
    Promised,
    QueueCounts,
)
from headrace.model.job import Job
from headrace.model.lane_view import LaneView, Mode
from headrace.model.names import check_name, unknown
from headrace.model.promise import Promise, read_promise
from headrace.model.state import State
from headrace.model.verdict import cancelled_error
from headrace.ports.inspector import Answers

_LEASE = 15.0


class MemoryInspector:
    """Reads and changes a `Book`."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.limiter: NoLimits = NoLimits()
        self.schedules: NoSchedules = NoSchedules()
        self.topics: MemoryTopics = MemoryTopics(book)
        self.flows: NoFlows = NoFlows()

    async def find(self, wanted: JobFilter, *, limit: int, before: UUID | None = None) -> Found:
        """The ids of matching jobs, newest first."""
        page = await self.list_jobs(wanted, limit=limit, before=before)
        return Found(ids=tuple(job.id for job in page.jobs), cursor=page.cursor)

    async def list_jobs(self, wanted: JobFilter, *, limit: int, before: UUID | None = None) -> Page:
        """Matching jobs, newest first."""
        with self._book.lock:
            now = self._book.clock.now()
            newest = sorted(self._book.rows.values(), key=lambda row: row.new.id, reverse=True)
            jobs = [row.shown(now) for row in newest if before is None or row.new.id < before]
            found = [job for job in jobs if _fits(job, wanted, now)]
            if not found:
                self._refuse_unknown(wanted)
        page = tuple(found[:limit])
        return Page(jobs=page, cursor=page[-1].id if len(found) > limit else None)

    def _refuse_unknown(self, wanted: JobFilter) -> None:
        book = self._book
        if wanted.queue is not None and wanted.queue not in book.queues:
            raise UnknownQueue(unknown("queue", wanted.queue, sorted(book.queues)))
        if wanted.task is not None and wanted.task not in book.tasks:
            raise UnknownTask(unknown("task", wanted.task, sorted(book.tasks)))

    async def get(self, job_id: UUID) -> Job:
        """One job.

        Raises:
            JobNotFound: there is none with this id.
        """
        for job in await self.get_many([job_id]):
            return job
        raise JobNotFound(f"there is no job {job_id}; it was deleted")

    async def get_many(self, ids: Sequence[UUID]) -> list[Job]:
        """Jobs as they are now, in no order; unknown ids are left out."""
        with self._book.lock:
            now, rows = self._book.clock.now(), self._book.rows
            return [rows[one].shown(now) for one in set(ids) if one in rows]

    async def history(self, job_id: UUID, *kinds: str) -> list[JobEvent]:
        """A job's events, of some kinds or all, oldest first."""
        with self._book.lock:
            events = self._book.events.get(job_id, ())
            return [event for event in events if not kinds or event.kind in kinds]

    async def cancel(self, ids: Sequence[UUID], actor: str, reason: str = "") -> Answers:
        """Cancel jobs; whoever has one is asked to end it."""

        def cancel(row: Row) -> Answer:
            if row.over:
                return Answer.UNFIT
            if row.owner is not None:
                wish = Cancellation(row.new.id, actor, reason)
                self._book.wishes.setdefault(row.new.id, wish)
                return Answer.ASKED
            row.cancel(cancelled_error(actor, reason), self._book.clock.now())
            self._book.note(row, "cancelled", actor)
            return Answer.DONE

        return self._change(ids, cancel)

    async def cancellations(self, n: int) -> Sequence[Cancellation]:
        """Up to `n` jobs whose workers were asked to end them, and that are not over."""
        with self._book.lock:
            rows = self._book.rows
            asked = [one for key, one in self._book.wishes.items() if not rows[key].over]
            return asked[:n]

    async def promote(self, ids: Sequence[UUID], actor: str) -> Answers:
        """Make scheduled and retryable jobs due now."""

        def promote(row: Row) -> Answer:
            now = self._book.clock.now()
            if row.live and row.owner is not None:
                return Answer.RUNNING
            if not row.live or row.due <= now:
                return Answer.UNFIT
            row.gen += 1
            row.fall_due(now)
            self._book.note(row, "promote", actor)
            return Answer.DONE

        return self._change(ids, promote)

    async def replay(self, ids: Sequence[UUID], actor: str) -> Answers:
        """Make dead jobs available again, with all their attempts before them."""

        def replay(row: Row) -> Answer:
            if row.live and row.owner is not None:
                return Answer.RUNNING
            if row.shown(self._book.clock.now()).state is not State.DEAD:
                return Answer.UNFIT
            row.revive(self._book.clock.now())
            self._book.wishes.pop(row.new.id, None)
            self._book.note(row, "replay", actor)
            return Answer.DONE

        return self._change(ids, replay)

    async def retry(self, ids: Sequence[UUID], actor: str) -> Answers:
        """Run again now: replays what is dead, promotes what waits."""
        replayed = await self.replay(ids, actor)
        rest = [one for one in ids if replayed[one] is Answer.UNFIT]
        return {**replayed, **await self.promote(rest, actor)}

    async def reprioritise(self, ids: Sequence[UUID], priority: int, actor: str) -> Answers:
        """Give jobs that no worker has another priority."""

        def reprioritise(row: Row) -> Answer:
            if row.live and row.owner is not None:
                return Answer.RUNNING
            if row.over or row.priority == priority:
                return Answer.UNFIT
            row.gen += 1
            row.priority = priority
            self._book.note(row, "reprioritise", actor)
            return Answer.DONE

        return self._change(ids, reprioritise)

    async def delete(self, ids: Sequence[UUID]) -> Answers:
        """Delete jobs that are over, with their history and idempotency keys."""

        def delete(row: Row) -> Answer:
            if row.live and row.owner is not None:
                return Answer.RUNNING
            if not row.over:
                return Answer.UNFIT
            self._book.forget(row.new.id)
            return Answer.DONE

        return self._change(ids, delete)

    def _change(self, ids: Sequence[UUID], change: Callable[[Row], Answer]) -> Answers:
        with self._book.lock:
            rows = self._book.rows
            return {one: change(rows[one]) if one in rows else Answer.MISSING for one in ids}

    async def queues(self) -> list[QueueCounts]:
        """Every queue with its counts, by name."""
        with self._book.lock:
            return [self._counts(name, queue) for name, queue in sorted(self._book.queues.items())]

    async def queue(self, name: str) -> QueueCounts:
        """One queue with its counts."""
        with self._book.lock:
            return self._counts(name, self._queue(name))

    def _counts(self, name: str, queue: Queue) -> QueueCounts:
        now = self._book.clock.now()
        jobs = [row.shown(now) for row in self._book.rows.values() if row.new.queue == name]
        states = [job.state for job in jobs]
        due = [job.run_at for job in jobs if job.state is State.AVAILABLE]
        return QueueCounts(
            queue=name,
            paused=queue.paused,
            promise=queue.promise or Promise.STANDARD,
            live=sum(not state.final and state is not State.BLOCKED for state in states),
            available=states.count(State.AVAILABLE),
            scheduled=states.count(State.SCHEDULED),
            retryable=states.count(State.RETRYABLE),
            running=states.count(State.RUNNING),
            blocked=states.count(State.BLOCKED),
            completed=states.count(State.COMPLETED),
            dead=states.count(State.DEAD),
            cancelled=states.count(State.CANCELLED),
            oldest=min(due, default=None),
        )

    async def fleet(self) -> Fleet:
        """The workers; there is no lane, and nobody leads."""
        with self._book.lock:
            workers = tuple(
                WorkerSeen(
                    id=worker,
                    host=lease.host,
                    pid=lease.pid,
                    queues=tuple(lease.queues),
                    slots=sum(lease.queues.values()),
                    busy=lease.busy and min(lease.busy, sum(lease.queues.values())),
                    started_at=self._book.clock.now(),
                    silent=0.0,
                    lease=lease.seconds,
                )
                for worker, lease in self._book.workers.items()
                if not lease.void
            )
        return Fleet(lane=LaneView(0, Mode.DIRECT), workers=workers, leaders=())

    async def create_queue(self, name: str) -> bool:
        """Make a queue known; False if it was."""
        with self._book.lock:
            known = check_name("queue", name) in self._book.queues
            self._book.queues.setdefault(name, Queue())
            return not known

    async def promise(self, name: str, promise: str) -> Promised:
        """Let a queue promise something else of its jobs: here all are kept alike."""
        said = read_promise(name, promise)
        with self._book.lock:
            queue = self._queue(name)
            changed = queue.promise is not said
            queue.promise = said
        return Promised(changed=changed, lease=_LEASE)

    async def max_depth(self, name: str, depth: int | None) -> bool:
        """Refused."""
        del name, depth
        raise refusal("limits of depth")

    async def pause(self, name: str) -> bool:
        """Hand out no more jobs of a queue; False if it was paused."""
        return self._pause(name, paused=True)

    async def resume(self, name: str) -> bool:
        """Hand out its jobs again; False if it was not paused."""
        return self._pause(name, paused=False)

    def _pause(self, name: str, *, paused: bool) -> bool:
        with self._book.lock:
            queue = self._queue(name)
            changed = queue.paused is not paused
            queue.paused = paused
            return changed

    def _queue(self, name: str) -> Queue:
        if name not in self._book.queues:
            raise UnknownQueue(unknown("queue", name, sorted(self._book.queues)))
        return self._book.queues[name]


def _fits(job: Job, wanted: JobFilter, now: datetime) -> bool:
    error = wanted.error.lower() if wanted.error is not None else None
    since = datetime.min.replace(tzinfo=UTC) if wanted.since is None else wanted.since
    until = datetime.max.replace(tzinfo=UTC) if wanted.until is None else wanted.until
    settled = wanted.settled_for is None or (
        job.settled_at is not None and now - job.settled_at > wanted.settled_for
    )
    return (
        (not wanted.states or job.state in wanted.states)
        and wanted.queue in (None, job.queue)
        and wanted.task in (None, job.task)
        and wanted.tenant in (None, job.tenant)
        and since <= job.created_at < until
        and (error is None or (job.error is not None and error in str(job.error).lower()))
        and settled
    )
