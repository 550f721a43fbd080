"""Job ids: UUIDv7 (RFC 9562) on the ledger's clock."""

import time
from datetime import datetime
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from headrace.ledger.statements import statement


class Ids:
    """Makes ids; the offset to the ledger's clock is learned once, then time is monotonic."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    async def learn(self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
        """Ask the ledger for its time; half the round trip is taken as the age of the answer."""
        asked = time.monotonic()
        now: float = await connection.fetchval(statement("clock"))
        self._offset = now - (asked + time.monotonic()) / 2

    def new(self) -> UUID:
        """The next id."""
        return uuid7(nanoseconds=int((time.monotonic() + self._offset) * 1e9))


def first_id(instant: datetime) -> UUID:
    """The smallest id of an instant: ids from it on were made then or later."""
    return UUID(int=max(0, int(instant.timestamp() * 1000)) << 80)
