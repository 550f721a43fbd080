"""Rate limits on PostgreSQL: functions/rate_limits.sql decides."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import msgspec

from headrace.errors import UnknownLimit
from headrace.ledger.queries import Queries
from headrace.ledger.rows import Row
from headrace.ledger.seats import LedgerSeats
from headrace.model.names import check_name, unknown
from headrace.model.priority import Priority
from headrace.model.rate import (
    HOLD,
    Admission,
    Ask,
    LimitSeen,
    Rate,
    RateLimit,
    Use,
    WindowSeen,
)

_MICROSECOND = timedelta(microseconds=1)
_SHOWN = 100
_STEP = 1000


class LedgerLimiter:
    """Counts starts in the ledger, so that a lane may come and go.

    Attributes:
        seats: what keeps concurrency limits.
    """

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self.seats: LedgerSeats = LedgerSeats(queries)

    async def declare(self, limits: Iterable[RateLimit]) -> None:
        """Make limits known; what an operator has set of them stays."""
        for one in sorted(limits, key=lambda limit: limit.name):
            await self._queries.fetch("declare_limit", one.name, *_columns(one.rates))

    async def bound(self, depths: Mapping[str, int]) -> None:
        """Let queues hold so many jobs at most; what an operator has set of them stays."""
        names = sorted(depths)
        await self._queries.fetch("bound_queues", names, [depths[name] for name in names])

    async def admit(self, asks: Sequence[Ask]) -> list[Admission]:
        """Which of these jobs may start, in order; the others are put off and wait again."""
        document = msgspec.json.encode([_document(one) for one in asks]).decode()
        rows = await self._queries.fetch("admit", document, round(HOLD * 1_000_000))
        return [Admission(row["put_off"], row["wait"]) for row in rows]

    async def rest(self, uses: Sequence[Use], duration: timedelta) -> None:
        """Let nothing start under these limits, for these keys, for a while."""
        names, keys = [use.limit for use in uses], [use.key for use in uses]
        await self._queries.fetch("rest", names, keys, duration.total_seconds())

    async def limits(self) -> list[LimitSeen]:
        """All limits, by name."""
        return [_limit(row) for row in await self._queries.fetch("limits", None)]

    async def limit(self, name: str, key: str | None = None) -> tuple[LimitSeen, list[WindowSeen]]:
        """One limit, and up to 100 of its windows, those in use first.

        Raises:
            UnknownLimit: there is none of this name.
        """
        rows = await self._queries.fetch("limits", name)
        if not rows:
            raise await self._unknown(name)
        windows = await self._queries.fetch("limit_windows", name, key, _SHOWN)
        return _limit(rows[0]), [_window(row) for row in windows]

    async def set(self, name: str, rates: Sequence[Rate]) -> int:
        """Let a limit be this from now on, whatever applications declare."""
        changed = await self._queries.fetch(
            "set_limit", check_name("limit", name), *_columns(rates)
        )
        return await self._ask_again(name) if changed else 0

    async def delete(self, name: str) -> int:
        """Forget a limit and what it has counted.

        Raises:
            UnknownLimit: there is none of this name.
        """
        if not await self._queries.fetch("delete_limit", name):
            raise await self._unknown(name)
        return await self._ask_again(name)

    async def _ask_again(self, name: str) -> int:
        asked = 0
        while n := (await self._queries.fetch("ask_again", name, _STEP))[0]["n"]:
            asked += n
        return asked

    async def _unknown(self, name: str) -> UnknownLimit:
        known = [one.name for one in await self.limits()]
        known += [one.name for one in await self.seats.limits()]
        return UnknownLimit(unknown("limit", name, sorted(known)))


def _columns(rates: Sequence[Rate]) -> tuple[list[int], list[int]]:
    return [rate.most for rate in rates], [rate.span // _MICROSECOND for rate in rates]


def _document(ask: Ask) -> dict[str, object]:
    delivery = ask.delivery
    said = (delivery.headers or {}).get("limits", {})
    return {
        "id": str(delivery.id),
        "gen": delivery.gen,
        "urgent": delivery.priority < Priority.NORMAL,
        "waited": "waited" in said,
        "limits": ask.uses,
    }


def _limit(row: Row) -> LimitSeen:
    rates = zip(row["most"], row["spans"], strict=True)
    return LimitSeen(
        name=row["name"],
        rates=tuple(str(Rate(most, span * _MICROSECOND)) for most, span in rates),
        overridden=row["overridden"],
        keys=row["keys"],
    )


def _window(row: Row) -> WindowSeen:
    return WindowSeen(
        key=row["key"],
        rate=str(Rate(row["most"], row["span"] * _MICROSECOND)),
        used=row["used"],
        remaining=max(0, row["most"] - row["used"]),
        next_start=_seconds(row["next_start"]),
        rests=_seconds(row["rests"]),
    )


def _seconds(value: object) -> float | None:
    return None if value is None else float(str(value))
