"""What callers give to an application, checked and made into what the ledger takes."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from headrace.errors import UsageError
from headrace.model.job import Inserted, NewJob
from headrace.model.links import Links
from headrace.model.schedule import NO_ID, Template, template_of
from headrace.model.shown import shown
from headrace.model.state import State
from headrace.options import JobSettings
from headrace.task import JobSpec

_MANY = "enqueue_many([task.job(1), task.job(2)])"
_SCHEDULE = 'app.schedule("nightly", task.job(1), cron="0 3 * * *")'
_JOBS = "what task.job(...) makes, such as [task.job(1), task.job(2)]"


def new_jobs(specs: object, new_id: Callable[[], UUID]) -> list[NewJob]:
    """The jobs of `Headrace.enqueue_many`.

    Raises:
        UsageError: the specs are no list, or one of them was not made by `task.job(...)`.
    """
    each = _each(specs, "enqueue_many", _JOBS)
    return [_new_job(new_id(), checked(spec, "enqueue_many", _MANY)) for spec in each]


def template(spec: object, name: str) -> Template:
    """The job that a schedule makes again and again.

    Raises:
        UsageError: it was not made by `task.job(...)`, or says itself when it is due.
    """
    job = _new_job(NO_ID, checked(spec, f'schedule "{name}"', _SCHEDULE))
    windowed = job.unique is not None and job.unique.until is None
    unfit = {"delay": job.delay, "run_at": job.run_at, "idempotency_key": windowed or None}
    for option, value in unfit.items():
        if value is not None:
            raise UsageError(
                f'schedule "{name}": {option} is not for the jobs of a schedule, whose ticks say '
                "when each of them is due, and once; leave it out"
            )
    return template_of(job)


def checked(spec: object, taker: str, example: str) -> JobSpec[Any]:
    """What `task.job(...)` made.

    Raises:
        UsageError: it was made by something else.
    """
    if not isinstance(spec, JobSpec):
        raise UsageError(
            f"{taker} takes what task.job(...) makes, not {type(spec).__qualname__}; "
            f"write {example}"
        )
    return spec


def as_ids(values: object) -> list[UUID]:
    """The ids of jobs.

    Raises:
        UsageError: the values are no list, or one of them is no id.
    """
    return [as_id(one) for one in _each(values, "get_many", "ids of jobs")]


def _new_job(job_id: UUID, spec: JobSpec[Any]) -> NewJob:
    settings = spec.settings
    return NewJob(
        id=job_id,
        task=spec.task.name,
        queue=settings.queue,
        payload=spec.payload,
        priority=settings.priority,
        max_attempts=settings.max_attempts,
        delay=settings.delay,
        run_at=settings.run_at,
        unique=settings.unique,
        tenant=settings.tenant,
        rerun_on_crash=settings.rerun_on_crash,
        headers=settings.headers,
        links=_links(settings),
    )


def linked_job(job_id: UUID, spec: JobSpec[Any], links: Links) -> NewJob:
    """A job that is linked to others, beside what its own options say of that."""
    job = _new_job(job_id, spec)
    if job.links is not None:
        order = {"order_key": job.links.order_key, "on_dead": job.links.on_dead}
        links = msgspec.structs.replace(links, **order)
    return msgspec.structs.replace(job, links=links)


def _links(settings: JobSettings) -> Links | None:
    if settings.order_key is None:
        return None
    return Links(order_key=settings.order_key, on_dead=settings.on_dead)


def first_state(job: NewJob, inserted: Inserted) -> State:
    """By this host's clock; the ledger's decides."""
    if inserted.blocked:
        return State.BLOCKED
    ahead = bool(job.delay) or (job.run_at is not None and job.run_at > datetime.now(UTC))
    return State.SCHEDULED if ahead else State.AVAILABLE


def _each(given: object, verb: str, wanted: str) -> Iterable[Any]:
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        return given
    raise UsageError(f"{verb} takes a list of {wanted}, not {shown(given)}")


def as_id(value: object) -> UUID:
    """The id of a job.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, UUID):
        return value
    try:
        return UUID(str(value))
    except ValueError:
        raise UsageError(f"{shown(value)} is not the id of a job; give a UUID") from None
