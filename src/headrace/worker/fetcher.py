"""The fetcher of one queue: keeps its slots filled with as few takes as it can."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from headrace.errors import HeadraceError
from headrace.model.entry import Taken
from headrace.model.job import Delivery
from headrace.ports.engine import Engine
from headrace.service import Loop
from headrace.worker.executor import Executor
from headrace.worker.hand import Hand
from headrace.worker.pace import Pace

_SHORTEST = 0.05
_LONGEST = 1.0
_WATCHFUL = 0.1
_ASLEEP = 300.0
_MOST_UNWRITTEN = 2000


class Batch(NamedTuple):
    """What a call took ahead and has not been charged."""

    hand: Hand
    call: int
    deliveries: list[Delivery]


class Fetcher:
    """Takes as many jobs as there are free slots, one take at a time.

    While a take is under way further slots become free, so that batches grow with the load. Where
    the slots are faster than the takes, the next batch is taken ahead of them, and charged just
    before they run out of work (protocol A5): a worker that dies costs attempts only to what it may
    have started. An empty queue is asked less and less often, from every 50 ms to every second, and
    then not at all: the lookout wakes a fetcher that rests.

    Args:
        queue: its name.
        pace: of the slots.
        backlog: how many outcomes wait to be written; too many stop the takes.
        emptied: called when a take of this queue comes back empty.

    Attributes:
        resting: whether it asks no more by itself.
    """

    def __init__(  # noqa: PLR0913 - it stands between all parts of a worker
        self,
        queue: str,
        *,
        engine: Engine,
        hand: Callable[[], Hand],
        executor: Executor,
        pace: Pace,
        backlog: Callable[[], int],
        emptied: Callable[[str], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._queue = queue
        self._engine = engine
        self._hand = hand
        self._executor = executor
        self._backlog = backlog
        self._emptied = emptied
        self._pace = pace
        self._ahead: Batch | None = None
        self._plenty = False
        self._pause = _SHORTEST
        self.resting: bool = False
        self.loop: Loop = Loop(f"fetcher:{queue}", self.poll, failed=failed)

    async def poll(self) -> float:
        """Do what is needed most; returns the seconds until more is, unless the slots ask."""
        hand = self._hand()
        self.resting = False
        self._pace.saw(self._executor.finished, self._executor.busy_seconds, self._executor.slots)
        # A worker that was stopped and goes on would take what it may not start.
        if self._backlog() > _MOST_UNWRITTEN or hand.silent:
            return _LONGEST
        if self._ahead is not None:
            return await self._go_on_with(self._ahead)
        free = self._executor.free
        if self._plenty and self._pace.reach > free:
            return await self._reach_ahead(hand)
        if free > 0:
            return await self._fill(hand, free)
        if self._pace.too_much(self._executor.waiting):
            await self._give_back(self._executor.withdraw())
        return _WATCHFUL if self._executor.waiting else _LONGEST

    async def _fill(self, hand: Hand, free: int) -> float:
        call, taken = await self._take(hand, free)
        self._give(Batch(hand, call, taken.deliveries))
        if self._plenty:
            return 0.0
        if taken.deliveries:
            self._pause = _SHORTEST
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST)
        if pause == _LONGEST:
            self.resting, pause = True, _ASLEEP
        return pause if taken.next_due is None else min(pause, taken.next_due)

    async def _reach_ahead(self, hand: Hand) -> float:
        call, taken = await self._take(hand, max(1, self._pace.reach), ahead=True)
        if taken.deliveries:
            self._ahead = Batch(hand, call, taken.deliveries)
        return 0.0

    async def _go_on_with(self, ahead: Batch) -> float:
        executor = self._executor
        if executor.free > 0 or executor.waiting < self._pace.low:
            self._ahead = None  # a charge whose reply is lost leaves what nobody may start
            try:
                await self._engine.charge(ahead.hand.worker, self._queue, ahead.call)
            except HeadraceError:
                ahead.hand.close(ahead.deliveries)
                raise
            self._give(ahead)
            # The next take is sent before the slots begin, which may keep the loop until they end.
            return await self._reach_ahead(ahead.hand) if self._plenty else 0.0
        if self._pace.too_much(executor.waiting + len(ahead.deliveries)):
            self._ahead = None
            unstarted = [(ahead.hand, one) for one in ahead.deliveries]
            await self._give_back([*executor.withdraw(), *unstarted])
        return self._until_needed()

    def _until_needed(self) -> float:
        """The slots call when they have less work than is taken in time to keep them busy."""
        self._executor.low = self._pace.low
        return _WATCHFUL

    async def _take(self, hand: Hand, n: int, *, ahead: bool = False) -> tuple[int, Taken]:
        call, asked = hand.open_call(), time.monotonic()
        try:
            taken = await self._engine.take(hand.worker, self._queue, call, n, ahead=ahead)
        except HeadraceError:
            hand.give_up(call)
            raise
        lasted = time.monotonic() - asked
        # A lane that is being refilled may have had a little less than was asked for.
        self._plenty = len(taken.deliveries) >= min(n, self._executor.slots + 1)
        if not taken.deliveries:
            self._emptied(self._queue)
        if not hand.book(call, taken.deliveries, taken.epoch):
            await self._return(hand, call, taken.deliveries)
            return call, taken._replace(deliveries=[])
        self._pace.took(lasted)
        return call, taken

    async def _return(self, hand: Hand, call: int, late: Sequence[Delivery]) -> None:
        """Give back what came too late; until it is back, a burst waits for the call."""
        self._pause = _SHORTEST  # it may well be for this worker still
        try:
            if late:
                await self._engine.release(hand.worker, late)
        finally:
            hand.give_up(call)

    def _give(self, batch: Batch) -> None:
        self._executor.give(batch.hand, batch.deliveries)

    async def _give_back(self, unstarted: Sequence[tuple[Hand, Delivery]]) -> None:
        """Slots that were fast have become slow: others may run what waits for them."""
        by_hand: dict[Hand, list[Delivery]] = {}
        for hand, delivery in unstarted:
            by_hand.setdefault(hand, []).append(delivery)
        for hand, deliveries in by_hand.items():
            hand.close(deliveries)  # of every hand first: the beats give back what is not released
        for hand, deliveries in by_hand.items():
            self._engine.heed(hand.view)
            await self._engine.release(hand.worker, deliveries)
