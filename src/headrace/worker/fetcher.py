"""The fetcher of one queue: keeps its slots filled with as few takes as it can."""

from collections.abc import Callable

from headrace.errors import HeadraceError
from headrace.ports.engine import Engine
from headrace.service import Loop
from headrace.worker.executor import Executor
from headrace.worker.hand import Hand

_SHORTEST = 0.05
_LONGEST = 1.0


class Fetcher:
    """Takes as many jobs as there are free slots, one take at a time.

    While a take is under way further slots become free, so that batches grow with the load. An
    empty queue is asked less and less often, from every 50 ms to every second.

    Args:
        queue: its name.
        prefetch: jobs to hold beyond the free slots; they count as started (protocol A5).
        backlog: how many outcomes wait to be written; too many stop the takes.
        emptied: called when a take of this queue comes back empty.
    """

    def __init__(  # noqa: PLR0913 - it stands between all parts of a worker
        self,
        queue: str,
        *,
        engine: Engine,
        hand: Callable[[], Hand],
        executor: Executor,
        prefetch: int,
        backlog: Callable[[], int],
        emptied: Callable[[str], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._queue = queue
        self._engine = engine
        self._hand = hand
        self._executor = executor
        self._prefetch = prefetch
        self._backlog = backlog
        self._emptied = emptied
        self._pause = _SHORTEST
        self.loop = Loop(f"fetcher:{queue}", self.poll, failed=failed)

    async def poll(self) -> float:
        """Take once; returns the seconds until the next take, unless a slot becomes free."""
        wanted = self._executor.free + self._prefetch
        if wanted <= 0 or self._backlog() > _MOST_UNWRITTEN:
            return _LONGEST
        hand = self._hand()
        call = hand.open_call()
        try:
            taken, next_due = await self._engine.take(hand.worker, self._queue, call, wanted)
        except HeadraceError:
            hand.give_up(call)
            raise
        hand.book(call, taken)
        self._executor.give(hand, taken)
        if len(taken) == wanted:
            return 0.0
        if taken:
            self._pause = _SHORTEST
        else:
            self._emptied(self._queue)
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST)
        return pause if next_due is None else min(pause, next_due)


_MOST_UNWRITTEN = 2000
