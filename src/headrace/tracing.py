"""Spans of OpenTelemetry: one for each enqueue, one for each run, in the trace of who enqueued.

Needs the extra `tracing`. What exports them is the application's own.
"""

from collections.abc import Sequence
from functools import cache

from msgspec.structs import replace
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from headrace.app import Headrace
from headrace.context import Context
from headrace.hooks import EnqueueNext
from headrace.middleware import Next
from headrace.model.job import Inserted, NewJob
from headrace.model.outcome import Outcome
from headrace.model.redaction import Redaction
from headrace.model.shown import stack_of, words

_HEADER = "trace"


def trace_jobs(app: Headrace, *, provider: TracerProvider | None = None) -> None:
    """Trace the jobs of an application: call it before its first task.

    A run is a child of the span in which its job was enqueued, in every attempt. Attributes are
    named as the conventions for messaging say; errors are recorded as the job keeps them, without
    secrets. Arguments and results are in no span.

    Args:
        app: the application.
        provider: of tracers; the global one, if it is not given.

    Raises:
        UsageError: the application has tasks already.
    """
    tracer = trace.get_tracer("headrace", tracer_provider=provider)

    @cache
    def redaction() -> Redaction:
        return Redaction(app.settings.redact)

    @app.middleware
    async def run_span(ctx: Context, call_next: Next) -> object:
        parent = propagate.extract(ctx.headers.get(_HEADER) or {})
        with tracer.start_as_current_span(
            f"process {ctx.task}",
            context=parent,
            kind=SpanKind.CONSUMER,
            attributes={
                **_usual("process", ctx.queue, ctx.task),
                "messaging.message.id": str(ctx.job_id),
                "headrace.attempt": ctx.attempt,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                value = await call_next()
            except Outcome as exc:
                _tell_outcome(span, exc)
                raise
            except BaseException as exc:
                _tell_error(span, exc, redaction())
                raise
            if isinstance(value, Outcome):
                _tell_outcome(span, value)
            return value

    @app.around_enqueue
    async def enqueue_span(jobs: Sequence[NewJob], call_next: EnqueueNext) -> list[Inserted]:
        if not jobs:
            return await call_next(jobs)
        queue, task = jobs[0].queue, jobs[0].task
        with tracer.start_as_current_span(
            f"send {queue}", kind=SpanKind.PRODUCER, attributes=_usual("send", queue, task)
        ) as span:
            if len(jobs) == 1:
                span.set_attribute("messaging.message.id", str(jobs[0].id))
            else:
                span.set_attribute("messaging.batch.message_count", len(jobs))
            carrier: dict[str, str] = {}
            propagate.inject(carrier)
            if carrier:
                jobs = [_carrying(job, carrier) for job in jobs]
            return await call_next(jobs)


def _usual(operation: str, queue: str, task: str) -> dict[str, str]:
    return {
        "messaging.system": "headrace",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
        "headrace.task": task,
    }


def _carrying(job: NewJob, carrier: dict[str, str]) -> NewJob:
    return replace(job, headers={**(job.headers or {}), _HEADER: carrier})


def _tell_outcome(span: Span, outcome: Outcome) -> None:
    span.set_attribute("headrace.outcome", type(outcome).__name__)


def _tell_error(span: Span, exc: BaseException, redaction: Redaction) -> None:
    said = redaction.clean(words(exc))
    span.add_event(
        "exception",
        {
            "exception.type": type(exc).__qualname__,
            "exception.message": said,
            "exception.stacktrace": redaction.clean(stack_of(exc)),
        },
    )
    span.set_attribute("error.type", type(exc).__qualname__)
    span.set_status(Status(StatusCode.ERROR, said))
