"""From a webhook to a job: durable before its sender hears of it."""

import logging
from collections.abc import Mapping
from typing import Any

from headrace import JobHandle, LedgerUnavailable, OutcomeUnknown, Task
from headrace.contrib.webhooks.event import Event, Reply
from headrace.contrib.webhooks.schemes import Scheme, Unverified
from headrace.task import BoundTask

_REMEMBERED = "7d"  # senders repeat for three days
_log = logging.getLogger("headrace.contrib")


async def receive(
    task: Task[[Event], Any], scheme: Scheme, body: bytes, headers: Mapping[str, str]
) -> Reply:
    """Verify a webhook and enqueue its event, once however often it is sent.

    The idempotency key of the job is the name of the sender and the id of the event, for a week.
    The reply says 200 when the job is durable, so what the sender is told of is not lost.

    Args:
        task: what handles the event.
        scheme: how it is signed.
        body: as it came, byte by byte.
        headers: in any case.

    Raises:
        BadPayload: the event is larger than `max_payload` allows.
        UsageError: the application is not started here.
    """
    try:
        event = scheme.verify(body, headers)
        return _accepted(await _keyed(task, scheme, event).enqueue(event))
    except Unverified as exc:
        return _refused(scheme, exc)
    except (LedgerUnavailable, OutcomeUnknown):
        return _REPEAT


def receive_sync(
    task: Task[[Event], Any], scheme: Scheme, body: bytes, headers: Mapping[str, str]
) -> Reply:
    """As `receive`, where no event loop runs."""
    try:
        event = scheme.verify(body, headers)
        return _accepted(_keyed(task, scheme, event).enqueue_sync(event))
    except Unverified as exc:
        return _refused(scheme, exc)
    except (LedgerUnavailable, OutcomeUnknown):
        return _REPEAT


_REPEAT = Reply(503, {"error": "the event could not be stored; send it again"})


def _keyed(task: Task[[Event], Any], scheme: Scheme, event: Event) -> BoundTask[[Event], Any]:
    key = f"{scheme.name}-{event.id}"
    return task.options(idempotency_key=key, idempotency_for=_REMEMBERED)


def _accepted(job: JobHandle[Any]) -> Reply:
    told = {"duplicate": True} if job.duplicate else {"job": str(job.id)}
    return Reply(200, {"received": True, **told})


def _refused(scheme: Scheme, exc: Unverified) -> Reply:
    _log.warning("a webhook of %s was refused: %s", scheme.name, exc)
    return Reply(400, {"error": str(exc)})
