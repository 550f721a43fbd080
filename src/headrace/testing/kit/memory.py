"""Inline and manual mode: jobs in memory, on a clock that stands still."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID

from headrace.app import Headrace
from headrace.engines.inline import InlineEngine
from headrace.engines.memory.book import Book
from headrace.engines.memory.engine import MemoryEngine
from headrace.errors import JobNotFound, UsageError
from headrace.model.duration import Duration, parse_duration
from headrace.model.job import Job
from headrace.task import JobSpec
from headrace.testing.kit.jobs import AnyJob, Jobs, id_of
from headrace.testing.kit.runner import Runner


class MemoryJobs(Jobs):
    """Jobs in memory; the clock moves when `advance` moves it.

    In inline mode a job that is due runs before `enqueue` returns, and what becomes due before
    `advance` does. In manual mode nothing runs until it is asked for.
    """

    def __init__(self, app: Headrace, stack: ExitStack, *, inline: bool) -> None:
        super().__init__(app, stack)
        self._book = Book()
        self._engine = MemoryEngine(self._book)
        self._runner = Runner(app, self._engine)
        self._inline = inline

    def engine(self) -> MemoryEngine:
        """An engine for an event loop of the application."""
        if self._inline:
            return InlineEngine(self._book, self._runner.run)
        return MemoryEngine(self._book)

    async def drain_queue(
        self, queue: str | None = None, *, with_scheduled: bool = False
    ) -> list[Job]:
        """Run everything that is due, and what that enqueues.

        `with_scheduled` moves the clock on to each next delay and retry.

        Raises:
            AssertionError: a job is due again and again.
            UsageError: there is no such queue.
        """
        await self._app.declare()
        if queue is not None:
            await self._engine.inspector.queue(queue)
        ran = await self._runner.drain(queue)
        while with_scheduled and (ahead := self._next_due(queue)) is not None:
            self._book.clock.move(ahead - self._book.clock.now())
            ran += await self._runner.drain(queue)
            if len(ran) > _MOST:
                raise AssertionError(f"over {_MOST} runs, and still something waits for its time")
        return self._shown(ran)

    async def process_job(self, job: JobSpec[Any] | AnyJob) -> Job:
        """Run one job once, now, whenever it is due."""
        job_id = await self._put(job) if isinstance(job, JobSpec) else id_of(job)
        with self._book.lock:
            row = self._book.rows.get(job_id)
            if row is None:
                raise JobNotFound(f"there is no job {job_id} in this test")
            if not row.live or row.owner is not None:
                shown = row.shown(self._book.clock.now())
                raise UsageError(f"job {job_id} is {shown.state} and cannot be run")
            row.fall_due(self._book.clock.now())
        await self._runner.run([job_id])
        (done,) = self._shown([job_id])
        return done

    async def _put(self, spec: JobSpec[Any]) -> UUID:
        await self._app.declare()
        # In a transaction, as it were: inline mode leaves it to us.
        (handle,) = await self._app.enqueue_many([spec], tx=self)
        return handle.id

    async def advance(self, by: Duration) -> list[Job]:
        """Move the clock; inline mode then runs what is due."""
        self._book.clock.move(parse_duration(by, "by"))
        return self._shown(await self._runner.drain()) if self._inline else []

    def _next_due(self, queue: str | None) -> Any:  # noqa: ANN401 - a datetime or None
        with self._book.lock:
            now = self._book.clock.now()
            return min(
                (
                    row.due
                    for row in self._book.rows.values()
                    if row.live
                    and row.due > now
                    and queue in (None, row.new.queue)
                    and not self._book.queues[row.new.queue].paused
                ),
                default=None,
            )

    def _all(self) -> Sequence[Job]:
        with self._book.lock:
            return self._shown(self._book.rows)

    def _shown(self, ids: Any) -> list[Job]:  # noqa: ANN401 - ids in any order
        with self._book.lock:
            now = self._book.clock.now()
            return [self._book.rows[one].shown(now) for one in sorted(set(ids))]


_MOST = 10_000


@contextmanager
def in_memory(app: Headrace, *, inline: bool) -> Iterator[MemoryJobs]:
    """Let an application keep its jobs in memory, in every event loop, started or not."""
    with ExitStack() as stack:
        jobs = MemoryJobs(app, stack, inline=inline)
        stack.enter_context(app.rehearsing(jobs.engine, anywhere=True))
        yield jobs
