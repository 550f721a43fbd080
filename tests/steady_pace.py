"""A pace that tests set: so many jobs wait for the slots, and as many ahead of these."""

from headrace.worker.pace import Pace


class SteadyPace(Pace):
    """Reaches ahead by the same number for ever."""

    def __init__(self, reach: int) -> None:
        super().__init__()
        self._reach = reach

    @property
    def reach(self) -> int:
        """As it was set."""
        return self._reach

    @property
    def low(self) -> int:
        """As many wait, charged."""
        return self._reach

    def too_much(self, held: int) -> bool:  # noqa: ARG002 - as the real one
        """Never."""
        return False
