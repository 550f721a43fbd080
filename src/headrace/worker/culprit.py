"""Who blocks a worker's event loop."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from headrace.model.job import Delivery
from headrace.worker.executor import Executor


class Culprit(NamedTuple):
    """What blocks an event loop.

    Attributes:
        name: for people.
        overdue: the job that does it, once it has passed its own timeout.
        stuck: it has outlived a second timeout as well.
    """

    name: str
    overdue: Delivery | None = None
    stuck: bool = False


def find_culprit(loop: asyncio.AbstractEventLoop | None, executors: Iterable[Executor]) -> Culprit:
    """Look, from another thread, at what a loop runs."""
    blocked = asyncio.current_task(loop)
    for executor in executors:
        attempt = executor.attempt_of(blocked)
        if attempt is None:
            continue
        delivery = attempt.delivery
        name = f"job {delivery.id} ({delivery.task})"
        return Culprit(name, delivery if attempt.overdue else None, attempt.stuck)
    return Culprit("code outside of any job")
