"""Who blocks a worker's event loop."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from headrace.model.job import Delivery
from headrace.worker.end_process import end_process
from headrace.worker.executor import Executor


class Culprit(NamedTuple):
    """What blocks an event loop.

    Attributes:
        name: for people.
        overdue: the job that does it, once it has passed its own timeout.
    """

    name: str
    overdue: Delivery | None = None


def find_culprit(
    loop: asyncio.AbstractEventLoop | None, executors: Iterable[Executor], seconds: float
) -> Culprit:
    """Look, from another thread, at what a loop has run for so many seconds.

    A job that is stuck ends this process: a blocked loop cannot drain, and others wait for what it
    holds.
    """
    blocked = asyncio.current_task(loop)
    for executor in executors:
        attempt = executor.attempt_of(blocked)
        if attempt is None:
            continue
        delivery = attempt.delivery
        name = f"job {delivery.id} ({delivery.task})"
        if attempt.stuck:
            end_process(f"{name} has blocked this process for {seconds:.0f} s; ending it")
        return Culprit(name, delivery if attempt.overdue else None)
    return Culprit("code outside of any job")
