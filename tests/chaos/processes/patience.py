"""Start-up again and again while the ledger is away, as a supervisor would do."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from headrace import LedgerUnavailable

PAUSE = 0.1
_log = logging.getLogger(__name__)


async def until_the_ledger_is_there(run: Callable[[], Awaitable[None]]) -> None:
    """Run, and begin anew when it ends because the ledger is away."""
    while True:
        try:
            return await run()
        except LedgerUnavailable as exc:
            _log.warning("begins anew: %s", exc)
        await asyncio.sleep(PAUSE)  # as a supervisor between two starts
