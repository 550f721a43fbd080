"""Limiters that forget, for chaos to find."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial

from chaos.processes.tasks import NARROW
from chaos.twins import Twin, by_name, swap_method
from headrace.ledger.limiter import LedgerLimiter
from headrace.model.rate import Admission, Ask

_started: deque[float] = deque(maxlen=max(rate.most for rate in NARROW.rates))


async def _by_itself(_self: LedgerLimiter, asks: Sequence[Ask]) -> list[Admission]:
    return [Admission(put_off=False, wait=_next()) for _ in asks]


def _next() -> float:
    now = time.monotonic()
    start = now
    for rate in NARROW.rates:
        if len(_started) >= rate.most:
            start = max(start, _started[-rate.most] + rate.span.total_seconds())
    _started.append(start)
    return start - now


LIMIT_TWINS: Mapping[str, Twin] = by_name(
    Twin(
        "each_worker_counts_by_itself",
        "a worker keeps the limits, but knows of its own starts only",
        partial(swap_method, LedgerLimiter, "admit", _by_itself),
    ),
)
