"""Job ids: UUIDv7 on the ledger's clock, rising within a process.

The 12 bits after the milliseconds are their fraction (RFC 9562, section 6.2, method 3), and no
two ids of a process share them, so that jobs of one statement keep the order they were given in.
"""

from datetime import datetime
from secrets import randbits
from uuid import UUID

import asyncpg

from headrace.ledger.statements import statement
from headrace.ports.clock import boottime

_TICKS = 4096 * 1000  # a second
_VERSION = 7 << 76
_VARIANT = 2 << 62


class Ids:
    """Makes ids; the offset to the ledger's clock is learned when it opens."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._last = 0

    async def learn(self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
        """Ask the ledger for its time; half the round trip is taken as the age of the answer."""
        asked = boottime()
        now: float = await connection.fetchval(statement("clock"))
        self._offset = now - (asked + boottime()) / 2

    def new(self) -> UUID:
        """The next id."""
        self._last = max(self._last + 1, int((boottime() + self._offset) * _TICKS))
        milliseconds, fraction = divmod(self._last, 4096)
        return UUID(int=milliseconds << 80 | _VERSION | fraction << 64 | _VARIANT | randbits(62))


def first_id(instant: datetime) -> UUID:
    """The smallest id of an instant: ids from it on were made then or later."""
    return UUID(int=max(0, int(instant.timestamp() * 1000)) << 80)
