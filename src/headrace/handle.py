"""A job in the hands of who enqueued it."""

from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar, cast
from uuid import UUID

from headrace.errors import JobCancelled, JobDead, JobNotFound, ResultTimeout
from headrace.model.duration import Duration, parse_duration
from headrace.model.inspection import Answer
from headrace.model.job import Job
from headrace.model.past import KINDS, PastAttempt, past_attempts
from headrace.model.state import State
from headrace.ports.engine import Engine
from headrace.results import Results

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class Source(Protocol):
    """Where a handle learns of its job: the application, as started in the running loop."""

    @property
    def engine(self) -> Engine:
        """Where jobs are kept."""

    @property
    def actor(self) -> str:
        """Who it is, as it is kept in the history of jobs."""

    @property
    def results(self) -> Results:
        """Who waits for results."""

    def decode_result(self, job: Job) -> Any:  # noqa: ANN401 - what the task returns
        """What the job's task returned."""

    def call_sync(self, make: Callable[[], Coroutine[Any, Any, T]], instead: str) -> T:
        """Run a coroutine in the portal's event loop."""


class JobHandle(Generic[R_co]):
    """A job that was enqueued.

    Attributes:
        id: of the job; stands in a log as `str(job.id)`.
        duplicate: another call's job holds the unique or idempotency key; this is that one.
        state: as last known; None for a duplicate that was not refreshed.
        job: all that was last known, or None before the first refresh.
    """

    def __init__(
        self,
        source: Source,
        job_id: UUID,
        *,
        duplicate: bool = False,
        state: State | None = None,
    ) -> None:
        self._source = source
        self.id = job_id
        self.duplicate = duplicate
        self.state = state
        self.job: Job | None = None

    def __repr__(self) -> str:
        return f"<job {self.id} {self.state or 'duplicate'}>"

    async def refresh(self) -> Job:
        """Ask the ledger how the job is now; `state` and `job` are that from then on.

        Raises:
            JobNotFound: there is no such job (yet).
            LedgerUnavailable: PostgreSQL cannot be reached.
        """
        found = await self._source.engine.get([self.id])
        if not found:
            raise JobNotFound(
                f"job {self.id} is not in the ledger; its transaction was rolled back or is "
                "still open, or the job was deleted after its retention"
            )
        return self._learn(found[0])

    def refresh_sync(self) -> Job:
        """As `refresh`, where no event loop runs."""
        return self._source.call_sync(self.refresh, "await job.refresh()")

    async def result(self, timeout: Duration = "30s") -> R_co:  # noqa: ASYNC109 - part of the message
        """Wait for the result.

        Args:
            timeout: how long at most, such as "2m"; the job goes on in any case.

        Returns:
            What the task returned, read by its return annotation where it fits.

        Raises:
            JobDead: it used up its attempts or was given up.
            JobCancelled: it was cancelled.
            ResultTimeout: it is not over yet.
            JobNotFound: there is no such job (yet).
        """
        limit = parse_duration(timeout, "timeout")
        over = await self._source.results.wait(self.id, limit.total_seconds())
        job = await self.refresh() if over is None else self._learn(over)
        if not job.state.final:
            raise ResultTimeout(
                f"job {self.id} ({job.task}) is {job.state} after {limit.total_seconds():g} s; "
                "wait longer, or ask again later: it goes on"
            )
        return self._outcome(job)

    def result_sync(self, timeout: Duration = "30s") -> R_co:
        """As `result`, where no event loop runs."""
        return self._source.call_sync(lambda: self.result(timeout), "await job.result()")

    async def attempts(self) -> list[PastAttempt]:
        """The runs that failed or were cut short, oldest first; the last thousand at most.

        Raises:
            LedgerUnavailable: PostgreSQL cannot be reached.
        """
        inspector = self._source.engine.inspector
        return past_attempts(await inspector.history(self.id, *KINDS))

    def attempts_sync(self) -> list[PastAttempt]:
        """As `attempts`, where no event loop runs."""
        return self._source.call_sync(self.attempts, "await job.attempts()")

    async def cancel(self, reason: str = "") -> bool:
        """Cancel the job; a worker that has it is asked to end it.

        It hears of that by its next beat, within a third of a lease (5 s): it cancels a coroutine,
        and a thread finds the wish in `ctx.cancellation`. A handler that completes all the same has
        completed its job; `result` tells which it was.

        Args:
            reason: kept with the job.

        Returns:
            False if the job was over.

        Raises:
            JobNotFound: there is no such job (yet).
        """
        inspector = self._source.engine.inspector
        answers = await inspector.cancel([self.id], self._source.actor, reason)
        if answers[self.id] is Answer.MISSING:
            await self.refresh()
        return answers[self.id] is not Answer.UNFIT

    def cancel_sync(self, reason: str = "") -> bool:
        """As `cancel`, where no event loop runs."""
        return self._source.call_sync(lambda: self.cancel(reason), "await job.cancel()")

    def _learn(self, job: Job) -> Job:
        self.job = job
        self.state = job.state
        return job

    def _outcome(self, job: Job) -> R_co:
        error = job.error or {}
        said = ": ".join(str(error[key]) for key in ("type", "message") if error.get(key))
        if job.state is State.DEAD:
            raise JobDead(
                f"job {self.id} ({job.task}) is dead after {job.attempt} of {job.max_attempts} "
                f"attempts ({said or 'no error was kept'}); replay it once the cause is mended"
            )
        if job.state is State.CANCELLED:
            raise JobCancelled(f"job {self.id} ({job.task}) was cancelled ({said or 'no reason'})")
        return cast("R_co", self._source.decode_result(job))
