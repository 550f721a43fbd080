"""A pace that tests set: workers hold that many jobs ahead, however slow their slots are."""

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
        """Slots are as slow as can be: they ask when one is free."""
        return 0

    def too_much(self, held: int) -> bool:  # noqa: ARG002 - as the real one
        """Never."""
        return False
