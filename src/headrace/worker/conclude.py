"""The end of an attempt whose handler opened a transaction."""

import asyncio
import logging
from enum import StrEnum
from uuid import UUID

from headrace.errors import StaleAttempt
from headrace.model.job import Settlement
from headrace.model.shown import words
from headrace.model.state import Stored
from headrace.model.verdict import describe, failed
from headrace.worker.attempt import Attempt
from headrace.worker.bystander import Bystander
from headrace.worker.context import AttemptContext

_log = logging.getLogger("headrace.worker")


class Conclusion(StrEnum):
    """How an attempt ended that needs no settling."""

    COMMITTED = "committed"  # with the transaction of its handler
    STALE = "stale"  # another attempt owns the job; what it wrote is undone


async def conclude(
    worker: UUID,
    attempt: Attempt,
    context: AttemptContext,
    settlement: Settlement,
    bystander: Bystander,
) -> Settlement | Conclusion:
    """Commit the handler's transaction with its completion, or undo it; what is to be settled."""
    delivery = attempt.delivery
    completed = settlement.state is Stored.COMPLETED
    try:
        if completed and await context.commit(worker, settlement):
            return Conclusion.COMMITTED
        await context.close()
    except StaleAttempt as exc:
        _log.warning("%s", exc)
        return Conclusion.STALE
    except (Exception, asyncio.CancelledError) as exc:  # the session, its driver and a helper's
        if bystander.cancelled:
            raise
        if not completed:
            _log.warning("what job %s wrote could not be undone at once: %s", delivery.id, exc)
            return settlement
        # The commit failed, or its reply is lost. If it was done, the fence refuses this
        # settlement and settled_before recognises it; if not, nothing of the handler's is
        # there: run again.
        attempt.raised = exc
        why = words(exc) or type(exc).__name__
        error = describe(type(exc).__name__, f"the handler's transaction failed: {why}")
        return failed(delivery, error, settlement.ran, attempt.retry_delay())
    return settlement
