"""What tells idle workers of new jobs in direct mode, as the engine knows it."""

from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID


class Bell(Protocol):
    """Late or lost, never wrong: who waits for it also looks for itself, only less often."""

    def ring(self, queues: Iterable[str]) -> None:
        """Tell, soon, that jobs of these queues were committed."""

    def ring_here(self, queues: Iterable[str]) -> None:
        """Tell the workers of this process, now."""

    async def wait(self, worker: UUID, queues: Sequence[str], seconds: float) -> str | None:
        """Wait until one of these queues was rung since this worker was told of it last.

        Returns:
            The queue; None when the time is up, after a `nudge`, or at once if nothing is heard.
        """

    def nudge(self, worker: UUID) -> None:
        """End the worker's wait, or the next one."""
