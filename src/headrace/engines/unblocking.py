"""Unblocking: what waited for others goes on as soon as the last of them has ended."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from uuid import UUID

from headrace.errors import HeadraceError
from headrace.ports.link_ledger import LinkLedger, Unblocked

_log = logging.getLogger("headrace.engine")
_BATCH = 1000


class Unblocking:
    """Looks at jobs that ended here, one batch after the other.

    It is a matter of time alone: what it misses (the process dies, the ledger is away) is found by
    whoever looks next (relay/unblocker.py).

    Args:
        ledger: who decides.
        carry: brings jobs that may run now to where they are taken from.
    """

    def __init__(self, ledger: LinkLedger, carry: Callable[[Unblocked], Awaitable[None]]) -> None:
        self._ledger = ledger
        self._carry = carry
        self._waiting: dict[UUID, None] = {}
        self._came = False
        self._flight: asyncio.Task[None] | None = None
        ledger.listen(self.soon, self.seat_soon)

    def soon(self, ids: Iterable[UUID]) -> None:
        """Let go what waits for these jobs, behind the caller's back."""
        self._waiting.update(dict.fromkeys(ids))
        if self._flight is None and self._waiting:
            self._flight = asyncio.create_task(self._fly())

    def seat_soon(self) -> None:
        """Let go what stands in line for seats, behind the caller's back."""
        self._came = True
        if self._flight is None:
            self._flight = asyncio.create_task(self._fly())

    async def sweep(self) -> None:
        """Let go what waits for jobs that nobody has looked at."""
        while await self._look(None):
            pass

    async def done(self) -> None:
        """Wait until what ended here so far was looked at."""
        while self._flight is not None:
            await asyncio.wait([self._flight])

    async def close(self) -> None:
        """Look at no more; who looks next finds the rest."""
        self._waiting.clear()
        self._came = False
        if self._flight is not None:
            await asyncio.wait([self._flight])

    async def _fly(self) -> None:
        try:
            while self._waiting or self._came:
                self._came = False
                batch = list(self._waiting)[:_BATCH]
                for one in batch:
                    del self._waiting[one]
                await self._look(batch)
        except HeadraceError as exc:
            self._waiting.clear()
            self._came = False
            _log.warning("jobs that wait for others go on a little later: %s", exc)
        finally:
            self._flight = None

    async def _look(self, ids: list[UUID] | None) -> bool:
        """One batch; returns whether there is more to look at."""
        unblocked = await self._ledger.unblock(ids, _BATCH)
        if ids is not None:
            self._waiting.update(dict.fromkeys(unblocked.again))
        if unblocked.jobs:
            await self._carry(unblocked)
        return bool(unblocked.again)
