"""What a worker's log says of attempts that failed."""

import json
import logging

from headrace.model.job import Delivery, Settlement
from headrace.model.state import Stored

_log = logging.getLogger("headrace.worker")


def tell(delivery: Delivery, settlement: Settlement) -> None:
    """Log an attempt that did not end well; its stack is kept with the job."""
    if settlement.error is None:
        return
    error = json.loads(settlement.error)
    reason = f"{error['type']}: {error['message']}"
    job = f"job {delivery.id} ({delivery.task})"
    attempt = f"attempt {delivery.attempt} of {delivery.max_attempts}"
    match settlement.state:
        case Stored.DEAD:
            _log.error("%s is dead after %s: %s", job, attempt, reason)
        case Stored.CANCELLED:
            _log.info("%s is cancelled: %s", job, reason)
        case _ if settlement.snoozed:
            _log.warning("%s is put off for %.1f s: %s", job, settlement.delay, reason)
        case _:
            pause = settlement.delay or 0.0
            _log.warning("%s failed in %s, the next in %.1f s: %s", job, attempt, pause, reason)
