"""The lookout: one question for all queues whose fetchers rest, instead of a take of each."""

from collections.abc import Callable, Mapping

from headrace.ports.engine import Engine
from headrace.service import Loop
from headrace.worker.fetcher import Fetcher

_EVERY = 1.0


class Lookout:
    """Wakes the fetchers whose queue has something to take.

    So an idle worker asks once a second, however many queues it serves.

    Args:
        engine: where the jobs are.
        fetchers: by queue.
        emptied: called with each queue that has nothing.
        failed: called with a defect.
    """

    def __init__(
        self,
        engine: Engine,
        fetchers: Mapping[str, Fetcher],
        emptied: Callable[[str], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._engine = engine
        self._fetchers = fetchers
        self._emptied = emptied
        self.loop: Loop = Loop("lookout", self.poll, failed=failed)

    async def poll(self) -> float:
        """Look once."""
        resting = [queue for queue, fetcher in self._fetchers.items() if fetcher.resting]
        if resting:
            ripe = await self._engine.ripe(resting)
            for queue in resting:
                if queue in ripe:
                    self._fetchers[queue].loop.wake()
                elif self._fetchers[queue].resting:
                    self._emptied(queue)
        return _EVERY
