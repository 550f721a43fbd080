"""Spans from the producer to the worker, through both ways of a job."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta

import asyncpg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from headrace import Context, Headrace, JobDead, Retry, RetryPolicy, UsageError
from headrace.hooks import EnqueueNext
from headrace.model.job import Inserted, NewJob
from headrace.tracing import trace_jobs
from headrace.worker.worker import Worker
from integration.served import MODES, served

SECONDS = "20s"


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:
        yield app


class Spans:
    """What was traced."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def named(self, name: str) -> list[ReadableSpan]:
        return [one for one in self._exporter.get_finished_spans() if one.name == name]


@pytest.fixture
def spans() -> Iterator[Spans]:
    spans = Spans()
    yield spans
    spans.provider.shutdown()


def ids(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def parent(span: ReadableSpan) -> tuple[int, int]:
    assert span.parent is not None
    return span.parent.trace_id, span.parent.span_id


async def test_runs_go_on_with_the_trace_of_who_enqueued(app: Headrace, spans: Spans) -> None:
    trace_jobs(app, provider=spans.provider)
    tracer = trace.get_tracer("shop", tracer_provider=spans.provider)

    @app.task(max_attempts=3, retry=RetryPolicy(base=timedelta()))
    async def send(ctx: Context, to: str) -> None:
        with tracer.start_as_current_span("inside"):
            if ctx.attempt == 1:
                raise Retry(to, after="0s")
            if ctx.attempt == 2:
                raise ValueError("password=hunter2")

    @app.task()
    def thread() -> None:
        tracer.start_span("in the thread").end()

    async with asyncio.TaskGroup() as group:
        worker = Worker(app, {"default": 2})
        group.create_task(worker.run())
        with tracer.start_as_current_span("request"):
            job = await send.enqueue("ann")
            many = await app.enqueue_many([thread.job(), thread.job()])
        await job.result(SECONDS)
        for each in many:
            await each.result(SECONDS)
        worker.finish()
    (request,) = spans.named("request")
    one, other = spans.named("send default")
    assert parent(one) == parent(other) == ids(request)
    assert (one.attributes or {})["messaging.message.id"] == str(job.id)
    assert (other.attributes or {})["messaging.batch.message_count"] == 2
    runs = spans.named("process send")
    assert [parent(run) for run in runs] == [ids(one)] * 3
    assert [(run.attributes or {})["headrace.attempt"] for run in runs] == [1, 2, 3]
    assert (runs[0].attributes or {})["headrace.outcome"] == "Retry"
    assert [run.status.is_ok for run in runs] == [True, False, True]
    (event,) = runs[1].events
    assert (event.attributes or {})["exception.message"] == "password=***"
    assert "hunter2" not in str((event.attributes or {})["exception.stacktrace"])
    assert [parent(inside) for inside in spans.named("inside")] == [ids(run) for run in runs]
    threads = spans.named("process thread")
    assert {parent(run) for run in threads} == {ids(other)}
    assert {parent(inside) for inside in spans.named("in the thread")} == set(map(ids, threads))


async def test_a_tracer_that_does_nothing_sends_nothing_along(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    trace_jobs(app)

    @app.task()
    async def send() -> None: ...

    await send.enqueue()
    assert await sql.fetchval("SELECT headers FROM headrace.job") is None


async def test_who_has_no_loop_is_traced_too(
    migrated_url: str, spans: Spans, sql: asyncpg.Connection
) -> None:
    app = Headrace("tests", database_url=migrated_url)
    trace_jobs(app, provider=spans.provider)

    @app.task()
    def send() -> None: ...

    tracer = trace.get_tracer("shop", tracer_provider=spans.provider)

    def request() -> None:
        with tracer.start_as_current_span("request"):
            send.enqueue_sync()
        app.stop_sync()

    await asyncio.to_thread(request)
    (request_span,), (sent,) = spans.named("request"), spans.named("send default")
    assert parent(sent) == ids(request_span)
    assert f"{ids(sent)[0]:032x}" in await sql.fetchval("SELECT headers::text FROM headrace.job")


async def test_what_stands_around_an_enqueue(app: Headrace) -> None:
    seen: list[str] = []

    @app.around_enqueue
    async def outer(jobs: Sequence[NewJob], call_next: EnqueueNext) -> list[Inserted]:
        seen.append("outer")
        if jobs[0].payload == b"{}":
            raise PermissionError("not today")
        return await call_next(jobs)

    @app.around_enqueue
    async def inner(jobs: Sequence[NewJob], call_next: EnqueueNext) -> list[Inserted]:
        seen.append("inner")
        return await call_next(jobs)

    @app.task()
    async def send(to: str = "") -> None: ...

    await send.enqueue("ann")
    assert seen == ["outer", "inner"]
    with pytest.raises(PermissionError, match="not today"):
        await send.enqueue()
    with pytest.raises(UsageError, match="cannot stand around an enqueue; write"):
        app.around_enqueue(lambda jobs: jobs)  # type: ignore[type-var]


async def test_tracing_comes_before_tasks(app: Headrace) -> None:
    @app.task(max_attempts=1)
    async def fail() -> None:
        raise ValueError("boom")

    with pytest.raises(UsageError, match='run_span comes after task "fail"'):
        trace_jobs(app)
    job = await fail.enqueue()
    await Worker(app, {"default": 1}).run(burst=True)
    with pytest.raises(JobDead):
        await job.result(SECONDS)
