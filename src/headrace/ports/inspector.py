"""What operators see and do."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from headrace.model.cancellation import Cancellation
from headrace.model.fleet import Fleet
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
from headrace.ports.flows import Flows
from headrace.ports.limiter import Limiter
from headrace.ports.schedules import Schedules
from headrace.ports.topics import Topics

Answers = Mapping[UUID, Answer]


class Inspector(Protocol):
    """Reads cost no more on a large history; writes are fenced by state and generation.

    A verb that changes jobs takes at most 500 ids, changes those that it may, waits for nobody and
    answers for each id. Repeating one changes nothing. `actor` is who asked, such as "cli:ada"; it
    is kept in the job's history.

    What is answered DONE holds: no run of what was ended begins afterwards. STARTING: it was done
    as well, but the lane could not be asked, or gave the job to a worker at that moment; the
    outcome of such a run is refused. What would run again is not touched where the lane cannot
    be asked: a worker that had it would run it twice at once. The answer is UNKNOWN, then.
    """

    @property
    def schedules(self) -> Schedules:
        """What makes jobs by the clock."""

    @property
    def topics(self) -> Topics:
        """Who gets what is published."""

    @property
    def limiter(self) -> Limiter:
        """What keeps rate limits."""

    @property
    def flows(self) -> Flows:
        """Jobs that were enqueued as one graph."""

    async def find(self, wanted: JobFilter, *, limit: int, before: UUID | None = None) -> Found:
        """The ids of matching jobs, newest first.

        Raises:
            UnknownQueue: nothing was found, and there is no queue of the name that is wanted.
            UnknownTask: the same of the task.
        """

    async def list_jobs(self, wanted: JobFilter, *, limit: int, before: UUID | None = None) -> Page:
        """Matching jobs, newest first; raises as `find` does."""

    async def get(self, job_id: UUID) -> Job:
        """One job.

        Raises:
            JobNotFound: there is none with this id.
        """

    async def get_many(self, ids: Sequence[UUID]) -> list[Job]:
        """Jobs as they are now, in no order; unknown ids are left out."""

    async def history(self, job_id: UUID, *kinds: str) -> list[JobEvent]:
        """A job's events, of some kinds or all, oldest first; the last thousand of them."""

    async def cancel(self, ids: Sequence[UUID], actor: str, reason: str = "") -> Answers:
        """Cancel jobs. A worker that has one is asked to end it: ASKED.

        It hears of it by its next beat, and cancels what has not ended by itself then.
        """

    async def cancellations(self, n: int) -> Sequence[Cancellation]:
        """Up to `n` jobs whose workers were asked to end them, and that are not over."""

    async def promote(self, ids: Sequence[UUID], actor: str) -> Answers:
        """Make scheduled and retryable jobs due now."""

    async def replay(self, ids: Sequence[UUID], actor: str) -> Answers:
        """Make dead jobs available again, with all their attempts before them."""

    async def retry(self, ids: Sequence[UUID], actor: str) -> Answers:
        """Run again now: replays what is dead, promotes what waits."""

    async def reprioritise(self, ids: Sequence[UUID], priority: int, actor: str) -> Answers:
        """Give jobs that no worker has another priority."""

    async def delete(self, ids: Sequence[UUID]) -> Answers:
        """Delete jobs that are over, with their history and idempotency keys."""

    async def queues(self) -> list[QueueCounts]:
        """Every queue with its counts, by name."""

    async def queue(self, name: str) -> QueueCounts:
        """One queue with its counts.

        Raises:
            UnknownQueue: there is none of this name.
        """

    async def fleet(self) -> Fleet:
        """The workers, the leaders and the lane."""

    async def max_depth(self, name: str, depth: int | None) -> bool:
        """Let a queue hold so many jobs at most, whatever applications declare; None: any number.

        False if an operator has said so before.

        Raises:
            UnknownQueue: there is none of this name.
            UsageError: the depth cannot be.
        """

    async def create_queue(self, name: str) -> bool:
        """Make a queue known; False if it was.

        Raises:
            UsageError: the name is not allowed.
        """

    async def promise(self, name: str, promise: str) -> Promised:
        """Let a queue promise something else of its jobs.

        Raises:
            UnknownQueue: there is none of this name.
            UsageError: there is no such promise.
        """

    async def pause(self, name: str) -> bool:
        """Hand out no more jobs of a queue; False if it was paused.

        Raises:
            UnknownQueue: there is none of this name.
        """

    async def resume(self, name: str) -> bool:
        """Hand out its jobs again; False if it was not paused.

        Raises:
            UnknownQueue: there is none of this name.
        """


class BlindInspector(Inspector, Protocol):
    """An inspector of the ledger alone, behind the back of any lane."""

    async def cancel(
        self, ids: Sequence[UUID], actor: str, reason: str = "", *, untold: bool = False
    ) -> Answers:
        """Cancel jobs that no worker has.

        Args:
            ids: the jobs.
            actor: who asked.
            reason: why.
            untold: a lane may carry them and cannot be told; a relay will.
        """

    async def ask(self, ids: Sequence[UUID], actor: str, reason: str) -> set[UUID]:
        """Ask whoever has these jobs to end them; returns those that are not over."""
