"""The canceller: what shall end and is in nobody's hands is cancelled as any waiting job is."""

from collections.abc import Callable

from headrace.model.cancellation import Cancellation
from headrace.ports.engine import Engine
from headrace.service import Loop

_MOST = 500


class Canceller:
    """Asks again for what was asked of a worker and is not over.

    A worker ends what it runs and knows of (worker/executor.py). What it gave back instead, or was
    running when it died, would run again: it is cancelled here (test_cancel.py). Any number may do
    this: cancelling is fenced, and to repeat it changes nothing.

    Args:
        engine: whose inspector cancels.
        interval: seconds.
        failed: called with a defect.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        interval: float,
        failed: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._inspector = engine.inspector
        self._interval = interval
        self.loop: Loop = Loop("canceller", self.poll, failed=failed, severable=True)

    async def poll(self) -> float:
        """One round."""
        asked = await self._inspector.cancellations(_MOST)
        by_wish: dict[tuple[str, str], list[Cancellation]] = {}
        for one in asked:
            by_wish.setdefault((one.actor, one.reason), []).append(one)
        for (actor, reason), wanted in by_wish.items():
            await self._inspector.cancel([one.job_id for one in wanted], actor, reason)
        return self._interval
