"""Real mode: a database of the test's own, and a worker in its event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg

from headrace.app import Headrace
from headrace.config import Settings
from headrace.connect import inspecting
from headrace.embedded import EmbeddedPostgres
from headrace.errors import UsageError
from headrace.ledger.migrate import migrate
from headrace.model.duration import Duration, parse_duration
from headrace.model.inspection import JobFilter
from headrace.model.job import Job
from headrace.model.state import State
from headrace.relay.services import services
from headrace.service import running
from headrace.task import JobSpec
from headrace.testing.kit.jobs import AnyJob, Jobs, id_of
from headrace.worker.worker import CONCURRENCY, Worker

T = TypeVar("T")
_PAGE = 500
_PAUSE = 0.01
_ROUNDS = 1000
_PASS = "UPDATE headrace.job SET run_at = run_at - $1 * interval '1 second' WHERE state = 0"  # noqa: S105 - no password


class RealJobs(Jobs):
    """Jobs in PostgreSQL.

    Attributes:
        database_url: of the database that the application uses meanwhile, for `tx=`.
    """

    def __init__(self, app: Headrace, stack: ExitStack, database_url: str) -> None:
        super().__init__(app, stack)
        self.database_url: str = database_url
        self._worker: Worker | None = None
        self._seen: dict[UUID, tuple[int, State]] = {}

    async def drain_queue(
        self, queue: str | None = None, *, with_scheduled: bool = False
    ) -> list[Job]:
        """Wait until the worker has run everything that is due, and what that enqueued.

        `with_scheduled` makes everything due that waits for its time.

        Returns:
            The jobs of these queues that have run since they were drained last, oldest first.

        Raises:
            AssertionError: something waits for its time again and again.
            UnknownQueue: there is no such queue.
        """
        inspector = self._app.engine.inspector
        queues = sorted(self._app.queues) if queue is None else [queue]
        rounds = 0
        while True:
            counts = [await inspector.queue(name) for name in queues]
            ahead = sum(one.scheduled + one.retryable for one in counts)
            if any((one.available and not one.paused) or one.running for one in counts):
                await asyncio.sleep(_PAUSE)
            elif ahead and with_scheduled:
                states, rounds = (State.SCHEDULED, State.RETRYABLE), rounds + 1
                if rounds > _ROUNDS:
                    raise AssertionError(f"{ahead} jobs wait for their time after {rounds} rounds")
                for name in queues:
                    found = await inspector.find(JobFilter(states=states, queue=name), limit=_PAGE)
                    await inspector.promote(found.ids, "testing")
            else:
                return [job for job in await self._jobs() if job.queue in queues and self._ran(job)]
            self._wake()

    def _ran(self, job: Job) -> bool:
        """Whether it has run since this was asked last."""
        now = (job.gen, job.state)
        before, self._seen[job.id] = self._seen.get(job.id), now
        return now != before and (job.attempt > 0 or job.snoozes > 0)

    async def process_job(self, job: JobSpec[Any] | AnyJob) -> Job:
        """Make one job due now, and wait until it has run once."""
        if isinstance(job, JobSpec):
            (handle,) = await self._app.enqueue_many([job])
            job_id, before = handle.id, 0
        else:
            job_id = id_of(job)
            now = await self._app.engine.inspector.get(job_id)
            if now.state.final:
                raise UsageError(f"job {job_id} is {now.state} and cannot be run")
            before = now.failures + now.snoozes
        await self._app.engine.inspector.promote([job_id], "testing")
        self._wake()
        while True:
            now = await self._app.engine.inspector.get(job_id)
            if now.state.final or now.failures + now.snoozes > before:
                return now
            await asyncio.sleep(_PAUSE)

    async def advance(self, by: Duration) -> list[Job]:
        """Move what waits nearer by so much, and wait until what is due then has run."""
        seconds = parse_duration(by, "by").total_seconds()
        connection = await asyncpg.connect(self.database_url)
        try:
            await connection.execute(_PASS, seconds)
        finally:
            await connection.close()
        return await self.drain_queue()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Have a worker run the jobs of all queues in this event loop."""
        async with self._app, self._app.living():
            engine = self._app.engine
            worker = Worker(self._app, dict.fromkeys(self._app.queues, CONCURRENCY))
            async with running(services(engine, lambda: worker.id, worker.hurry)):
                await worker.start()
                self._worker = worker
                try:
                    yield
                finally:
                    self._worker = None
                    await worker.stop()

    def _wake(self) -> None:
        if self._worker is not None:
            for queue in self._app.queues:
                self._worker.wake(queue)

    def _all(self) -> Sequence[Job]:
        return _elsewhere(self._jobs)

    async def _jobs(self) -> list[Job]:
        jobs: list[Job] = []
        cursor: UUID | None = None
        async with inspecting(self._app.settings) as inspector:
            while True:
                page = await inspector.list_jobs(JobFilter(), limit=_PAGE, before=cursor)
                jobs += page.jobs
                cursor = page.cursor
                if cursor is None:
                    return jobs[::-1]


@asynccontextmanager
async def in_earnest(app: Headrace, server: "Server") -> AsyncIterator[RealJobs]:
    """Give an application a database of its own, and a worker in the running event loop."""
    with ExitStack() as stack:
        url = stack.enter_context(server.database())
        stack.enter_context(app.rehearsing(settings=_without_lane(app, url)))
        jobs = RealJobs(app, stack, url)
        async with jobs.working():
            yield jobs
        await asyncio.to_thread(app.stop_sync)  # where `..._sync` verbs started it


def _without_lane(app: Headrace, database_url: str) -> Settings:
    """The settings of an application on another database, whatever the environment says."""
    changes = {"database_url": database_url, "redis_url": None}
    return app.settings.model_copy(update=changes)


class Server:
    """An embedded PostgreSQL that starts when the first test asks for a database."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._url: str | None = None
        self._template = f"headrace_{uuid4().hex}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """A database with the schema, dropped afterwards."""
        if self._url is None:
            self._url = self._start()
        name = f"test_{uuid4().hex}"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}"')
        try:
            yield self._at(name)
        finally:
            self._run(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _start(self) -> str:
        folder = self._stack.enter_context(TemporaryDirectory(prefix="headrace-"))
        Path(folder).chmod(0o711)  # for the account that PostgreSQL runs under
        data = Path(folder) / "own" / "postgres"
        server = EmbeddedPostgres(data, settings={"fsync": "off"})
        self._stack.enter_context(server)
        self._url = server.url
        self._run(f'CREATE DATABASE "{self._template}"')
        _elsewhere(lambda: migrate(self._at(self._template)))
        return server.url

    def _at(self, name: str) -> str:
        assert self._url is not None
        return urlsplit(self._url)._replace(path=f"/{name}").geturl()

    def _run(self, statement: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self._url)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        _elsewhere(run)


def _elsewhere(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a loop of its own while the caller stands still."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(make())).result()
