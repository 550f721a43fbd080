"""Jobs of tasks that this worker's code does not have: left for a worker that has it."""

import logging
import random
from collections.abc import Sequence
from datetime import timedelta

from headrace.errors import LedgerError
from headrace.model.inspection import JobEvent
from headrace.model.job import Delivery, Settlement
from headrace.model.past import UNKNOWN_TASK, put_off_as_unknown
from headrace.model.state import Stored
from headrace.model.verdict import describe, given_up, put_off
from headrace.ports.engine import Engine

_log = logging.getLogger("headrace.worker")
_EVENTS = ("snooze", "retry", "crash", "dead", "replay")
# Longer than a worker wakes itself for what it has put off: the others shall have it.
_SHORTEST = 1.2
_LONGEST = 300.0
_EAGER = 10  # times, in which one of a few workers that know the task has most likely met it


async def leave_for_another(engine: Engine, delivery: Delivery, patience: timedelta) -> Settlement:
    """What to settle for a job whose task is unknown here, as in the midst of a deployment.

    It is put off, without an attempt: ten times for a second, then longer and longer, so that
    workers of old code do not spin with it. Once it has been unknown to whoever had it for so
    long, it is given up.
    """
    try:
        events: Sequence[JobEvent] = await engine.inspector.history(delivery.id, *_EVENTS)
    except LedgerError as exc:
        _log.warning("how long job %s has been unknown cannot be told: %s", delivery.id, exc)
        events = ()
    before = put_off_as_unknown(events)
    unknown_for = before[-1].at - before[0].at if before else timedelta()
    said = f'no task "{delivery.task}" in the code of this worker'
    if unknown_for >= patience:
        error = describe(UNKNOWN_TASK, f"{said}, nor of others in {unknown_for}; import its module")
        return given_up(delivery, Stored.DEAD, error, 0.0)
    error = describe(UNKNOWN_TASK, f"{said}; it waits for one that has it")
    late = min(max(0, len(before) - _EAGER), 10)
    pause = min(_SHORTEST * 2**late, _LONGEST) * random.uniform(0.9, 1.3)
    return put_off(delivery, error, min(timedelta(seconds=pause), patience))
