"""What keeps concurrency limits: told of them by applications, changed by operators."""

from typing import Protocol

from headrace.model.concurrency import LineSeen, LinesSaid, WidthSeen


class Seats(Protocol):
    """Every verb is one statement. All raise `LedgerUnavailable` where PostgreSQL is away."""

    async def declare(self, said: LinesSaid) -> None:
        """Make limits known, and which jobs are under them; what an operator has set stays."""

    async def limits(self) -> list[WidthSeen]:
        """All limits, by name."""

    async def limit(self, name: str, key: str | None = None) -> tuple[WidthSeen, list[LineSeen]]:
        """One limit, and up to 100 of its lines, the fullest first.

        Raises:
            UnknownLimit: there is none of this name.
        """

    async def set(self, name: str, width: int, key: str | None = None) -> None:
        """Let a limit, or one key of it, have this width, whatever applications declare.

        Raises:
            UnknownLimit: a key was given, and there is no limit of this name.
        """

    async def delete(self, name: str) -> bool:
        """Forget a limit; False if there is none of this name."""
