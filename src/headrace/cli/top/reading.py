"""One look at everything: the queues, and the processes at work."""

import asyncio
import time
from collections.abc import Sequence

from headrace.cli.top.rates import Rates
from headrace.model.fleet import Fleet
from headrace.model.inspection import QueueCounts
from headrace.ports.inspector import Inspector

EVERY = 1.0
"""Seconds from one reading to the next."""


async def read(inspector: Inspector, rates: Rates) -> tuple[Sequence[QueueCounts], Fleet]:
    """What there is now; the rates go by it, too."""
    queues, fleet = await asyncio.gather(inspector.queues(), inspector.fleet())
    rates.read(queues, time.monotonic())
    return queues, fleet
