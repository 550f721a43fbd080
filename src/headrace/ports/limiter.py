"""What keeps rate limits: asked before jobs start, and by operators."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from headrace.model.rate import Admission, Ask, LimitSeen, Rate, RateLimit, Use, WindowSeen
from headrace.ports.seats import Seats


class Limiter(Protocol):
    """Every verb is one statement. All raise `LedgerUnavailable` where PostgreSQL is away."""

    @property
    def seats(self) -> Seats:
        """What keeps concurrency limits."""

    async def declare(self, limits: Iterable[RateLimit]) -> None:
        """Make limits known; what an operator has set of them stays."""

    async def bound(self, depths: Mapping[str, int]) -> None:
        """Let queues hold so many jobs at most; what an operator has set of them stays."""

    async def admit(self, asks: Sequence[Ask]) -> list[Admission]:
        """Which of these jobs may start, in order; the others are put off and wait again."""

    async def rest(self, uses: Sequence[Use], duration: timedelta) -> None:
        """Let nothing start under these limits, for these keys, for a while."""

    async def limits(self) -> list[LimitSeen]:
        """All limits, by name."""

    async def limit(self, name: str, key: str | None = None) -> tuple[LimitSeen, list[WindowSeen]]:
        """One limit, and up to 100 of its windows, those in use first.

        Raises:
            UnknownLimit: there is none of this name.
        """

    async def set(self, name: str, rates: Sequence[Rate]) -> int:
        """Let a limit be this from now on, whatever applications declare.

        Returns:
            How many jobs that it had put off ask again.
        """

    async def delete(self, name: str) -> int:
        """Forget a limit and what it has counted; an application that declares it makes it anew.

        Returns:
            How many jobs that it had put off ask again.

        Raises:
            UnknownLimit: there is none of this name.
        """
