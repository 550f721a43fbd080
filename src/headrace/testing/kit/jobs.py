"""What a test asks of the jobs of its application, however they are kept."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar, Unpack
from uuid import UUID

from headrace.app import Headrace
from headrace.errors import UsageError
from headrace.handle import JobHandle
from headrace.model.duration import Duration
from headrace.model.job import Job
from headrace.task import JobSpec, Task
from headrace.testing.kit.spy import Spy
from headrace.testing.kit.wanted import Expected, Wanted

T = TypeVar("T")
AnyTask = Task[..., Any] | str | None
AnyJob = JobHandle[Any] | Job | UUID | str


class Jobs(ABC):
    """The jobs that an application enqueued since a test began.

    Each verb that takes time is a coroutine with a twin that ends in `_sync`, for tests without an
    event loop.

    Args:
        app: the application.
        stack: what is to be undone after the test.
    """

    def __init__(self, app: Headrace, stack: ExitStack) -> None:
        self._app = app
        self._stack = stack

    def all_enqueued(self, task: AnyTask = None, **expected: Unpack[Expected]) -> list[Job]:
        """The matching jobs, oldest first, whatever has become of them.

        Args:
            task: of which they are, or its name; None: of any.
            expected: as in `Expected`.

        Raises:
            UsageError: something is expected that no job has.
        """
        wanted = Wanted(task, expected)
        return [job for job in self._all() if not wanted.differences(job)]

    def assert_enqueued(
        self, task: AnyTask = None, *, count: int | None = None, **expected: Unpack[Expected]
    ) -> Job:
        """Fail unless a matching job was enqueued; the failure shows those that were.

        Args:
            task: of which it is, or its name; None: of any.
            count: how many exactly; without it one or more.
            expected: as in `Expected`.

        Returns:
            The newest of them.

        Raises:
            AssertionError: there are none, or not as many.
            UsageError: something is expected that no job has.
        """
        __tracebackhide__ = True
        if count is not None and count < 1:
            raise UsageError(f"count={count} is no number of jobs; use refute_enqueued")
        wanted, jobs = Wanted(task, expected), self._all()
        found = [job for job in jobs if not wanted.differences(job)]
        if not found or count not in (None, len(found)):
            number = {None: "a job", 1: "one job"}.get(count, f"{count} jobs")
            raise AssertionError(
                f"expected {number} {wanted}, found {len(found) or 'none'}; {wanted.told(jobs)}"
            )
        return found[-1]

    def refute_enqueued(self, task: AnyTask = None, **expected: Unpack[Expected]) -> None:
        """Fail if a matching job was enqueued.

        Raises:
            AssertionError: there is one.
            UsageError: something is expected that no job has.
        """
        __tracebackhide__ = True
        wanted = Wanted(task, expected)
        found = [job for job in self._all() if not wanted.differences(job)]
        if found:
            raise AssertionError(
                f"expected no job {wanted}, found {len(found)}; {wanted.told(found)}"
            )

    def spy(self, task: Task[..., Any]) -> Spy:
        """Write down the calls of a task's function, until the test ends."""
        return self._stack.enter_context(Spy(self._app, task).watching())

    @abstractmethod
    async def drain_queue(
        self, queue: str | None = None, *, with_scheduled: bool = False
    ) -> list[Job]:
        """Have everything run that is due, and what that enqueues.

        Args:
            queue: only of this one.
            with_scheduled: what waits for its time, too: delays and retries.

        Returns:
            The jobs that ran, as they are now, oldest first.
        """

    def drain_queue_sync(
        self, queue: str | None = None, *, with_scheduled: bool = False
    ) -> list[Job]:
        """As `drain_queue`, where no event loop runs."""
        return self._sync(
            lambda: self.drain_queue(queue, with_scheduled=with_scheduled), "drain_queue"
        )

    @abstractmethod
    async def process_job(self, job: JobSpec[Any] | AnyJob) -> Job:
        """Have one job run once, now, whenever it is due.

        Args:
            job: what `task.job(...)` makes, or one that was enqueued: its handle, id or `Job`.

        Returns:
            How it is then: its state, result and error.

        Raises:
            UsageError: it is over, or runs.
            JobNotFound: there is none.
        """

    def process_job_sync(self, job: JobSpec[Any] | AnyJob) -> Job:
        """As `process_job`, where no event loop runs."""
        return self._sync(lambda: self.process_job(job), "process_job")

    @abstractmethod
    async def advance(self, by: Duration) -> list[Job]:
        """Let time pass for what waits: delays, retries, snoozes.

        Returns:
            What ran because of it.
        """

    def advance_sync(self, by: Duration) -> list[Job]:
        """As `advance`, where no event loop runs."""
        return self._sync(lambda: self.advance(by), "advance")

    @abstractmethod
    def _all(self) -> Sequence[Job]:
        """All jobs, oldest first."""

    def _sync(self, make: Callable[[], Coroutine[Any, Any, T]], verb: str) -> T:
        return self._app.call_sync(make, f"await jobs.{verb}(...)")


def id_of(job: AnyJob) -> UUID:
    """The id of a job, however it is named."""
    if isinstance(job, JobHandle | Job):
        return job.id
    return UUID(str(job))
