"""A clock that goes on only when it is told to."""

from datetime import UTC, datetime, timedelta


class StillClock:
    """Stands at the moment it was made, until it is moved."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        """The time that it shows."""
        return self._now

    def move(self, by: timedelta) -> None:
        """Let so much time pass."""
        self._now += by

    def ahead(self, moment: datetime) -> datetime:
        """What this clock shows at a moment of the wall's clock; a past one is now.

        Who says "in an hour" by `datetime.now()` means an hour from now on this clock, too.
        """
        return self._now + max(timedelta(), moment - datetime.now(UTC))
