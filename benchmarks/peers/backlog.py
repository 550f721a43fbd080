"""Drain rates at backlogs of growing size, which are filled by two producers and not drained."""

import asyncio
import math
from contextlib import AsyncExitStack

from benchmarks.peers.conversation import PeerFailed
from benchmarks.peers.draining import drain
from benchmarks.peers.stand import Stand

_FIRST = 1_000_000  # number of the first job, of seven digits as all
_PRODUCERS = 2
_SHARE = 0.9  # of the backlog, at which a window ends in any case


def prefill_seconds(stand: Stand, size: int) -> float:
    """How long a backlog of this size will take to make, by what was seen."""
    pace = stand.pace.get("fill")
    return size / pace if pace else math.inf


async def measure_backlog(stand: Stand, size: int) -> dict[str, float]:
    """Jobs a second of one worker process at a backlog of this size.

    Raises:
        PeerFailed: the backlog could not be made in time.
    """
    plan = stand.plan
    share = size // _PRODUCERS
    async with stand.fresh() as one, AsyncExitStack() as stack:
        others = [
            await stack.enter_async_context(stand.producer(first=_FIRST + number * share))
            for number in range(1, _PRODUCERS)
        ]
        orders = [stand.fill(each, "noop", share, plan.prefill) for each in (one, *others)]
        made = sum(await asyncio.gather(*orders))
        await asyncio.gather(*(each.order("close") for each in (one, *others)))
    if made < size:
        raise PeerFailed(f"only {made:,} of {size:,} jobs were made in {plan.prefill:.0f} s")
    window = await drain(stand, size, plan.window, share=_SHARE)
    return {f"backlog_{size}": window.rate}
