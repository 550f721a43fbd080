"""Concurrency limits on PostgreSQL: functions/lines.sql and seat_jobs.sql decide."""

import msgspec

from headrace.errors import UnknownLimit
from headrace.ledger.queries import Queries
from headrace.model.concurrency import LineSeen, LinesSaid, WidthSeen, check_width
from headrace.model.names import check_name, unknown

_SHOWN = 100


class LedgerSeats:
    """Keeps concurrency limits in the ledger, whoever gives out jobs."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def declare(self, said: LinesSaid) -> None:
        """Make limits known, and which jobs are under them; what an operator has set stays."""
        await self._queries.fetch("declare_lines", msgspec.json.encode(said).decode())

    async def limits(self) -> list[WidthSeen]:
        """All limits, by name."""
        return [WidthSeen(*row) for row in await self._queries.fetch("widths", None)]

    async def limit(self, name: str, key: str | None = None) -> tuple[WidthSeen, list[LineSeen]]:
        """One limit, and up to 100 of its lines, the fullest first.

        Raises:
            UnknownLimit: there is none of this name.
        """
        rows = await self._queries.fetch("widths", name)
        if not rows:
            raise await self._unknown(name)
        lines = await self._queries.fetch("lines", name, key, _SHOWN)
        return WidthSeen(*rows[0]), [LineSeen(*row) for row in lines]

    async def set(self, name: str, width: int, key: str | None = None) -> None:
        """Let a limit, or one key of it, have this width, whatever applications declare.

        Raises:
            UnknownLimit: a key was given, and there is no limit of this name.
        """
        told = check_name("limit", name), key, check_width(width)
        (row,) = await self._queries.fetch("set_width", *told)
        if not row["known"]:
            raise await self._unknown(name)

    async def delete(self, name: str) -> bool:
        """Forget a limit; False if there is none of this name."""
        (row,) = await self._queries.fetch("delete_width", name)
        return bool(row["known"])

    async def _unknown(self, name: str) -> UnknownLimit:
        return UnknownLimit(unknown("limit", name, [one.name for one in await self.limits()]))
