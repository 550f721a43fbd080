"""What to write for an attempt: the one place where outcomes become settlements."""

import json
from datetime import timedelta

from headrace.model.cancellation import Cancellation
from headrace.model.job import Delivery, Settlement
from headrace.model.outcome import Cancel, Dead, Outcome, RateLimited, Retry, Snooze
from headrace.model.shown import storable
from headrace.model.state import Stored

_LONGEST_TEXT = 8_000


def describe(kind: str, message: str, stack: str = "") -> str:
    """An error as JSON, cut to a bounded size and cleaned of what JSONB cannot hold."""
    fields = {"type": kind, "message": storable(message, _LONGEST_TEXT)}
    if stack:
        fields["stack"] = storable(stack, _LONGEST_TEXT)
    return json.dumps(fields)


WORKER_LOST = describe("WorkerLost", "the worker died during the attempt")
POISON = describe("Poison", "each worker that ran it died: too many of them")
BLOCKED = describe("Blocked", "the handler blocked its worker's event loop past its timeout")


def cancelled(delivery: Delivery, wish: Cancellation, ran: float) -> Settlement:
    """The settlement of a job whose end somebody wanted."""
    return given_up(delivery, Stored.CANCELLED, cancelled_error(wish.actor, wish.reason), ran)


def cancelled_error(actor: str, reason: str) -> str:
    """The error of a job that was cancelled: who wanted it, and why."""
    return describe("Cancelled", f"by {actor}: {reason}" if reason else f"by {actor}")


def completed(delivery: Delivery, result: str | None, ran: float) -> Settlement:
    """The settlement of an attempt that is done."""
    return Settlement(
        id=delivery.id, gen=delivery.gen, state=Stored.COMPLETED, ran=ran, result=result
    )


def failed(delivery: Delivery, error: str, ran: float, delay: timedelta) -> Settlement:
    """The settlement of an attempt that failed: dead once the attempts are used up (A5)."""
    if delivery.last_to_fail:
        return given_up(delivery, Stored.DEAD, error, ran)
    return Settlement(
        id=delivery.id,
        gen=delivery.gen,
        state=Stored.LIVE,
        failed=True,
        delay=delay.total_seconds(),
        ran=ran,
        error=error,
    )


def given_up(delivery: Delivery, state: Stored, error: str, ran: float) -> Settlement:
    """The settlement of an attempt after which nothing is tried again."""
    return Settlement(
        id=delivery.id,
        gen=delivery.gen,
        state=state,
        failed=state is Stored.DEAD,
        ran=ran,
        error=error,
    )


def put_off(delivery: Delivery, error: str, delay: timedelta) -> Settlement:
    """The settlement of a job that was not run, and waits for somebody else: no attempt."""
    return _snoozed(delivery, delay, 0.0, error=error)


def steered(delivery: Delivery, outcome: Outcome, ran: float, delay: timedelta) -> Settlement:
    """The settlement of an outcome other than `Complete` that a handler returned or raised.

    `delay` is that of the retry policy, for a `Retry` that names none.
    """
    match outcome:
        case Snooze():
            return _snoozed(delivery, outcome.delay, ran)
        case RateLimited():
            return _snoozed(delivery, outcome.after, ran, rests=outcome.limit)
        case Retry():
            error = describe("Retry", outcome.error)
            return failed(delivery, error, ran, delay if outcome.after is None else outcome.after)
        case Cancel():
            error = describe("Cancel", outcome.reason)
            return given_up(delivery, Stored.CANCELLED, error, ran)
        case Dead():
            error = describe("Dead", outcome.reason)
            return given_up(delivery, Stored.DEAD, error, ran)
        case _:
            raise TypeError(f"{type(outcome).__name__} is no outcome of an attempt")


def _snoozed(
    delivery: Delivery,
    delay: timedelta,
    ran: float,
    *,
    rests: str | None = None,
    error: str | None = None,
) -> Settlement:
    return Settlement(
        id=delivery.id,
        gen=delivery.gen,
        state=Stored.LIVE,
        snoozed=True,
        delay=delay.total_seconds(),
        ran=ran,
        rests=rests,
        error=error,
    )
