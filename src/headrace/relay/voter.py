"""The voter: workers that cannot reach the lane vote it out, and the ledger gives out jobs."""

import asyncio
import logging
from collections.abc import Callable
from uuid import UUID

from headrace.engines.ledgered import LedgeredEngine
from headrace.errors import LaneError
from headrace.model.lane_view import LaneView, Mode
from headrace.ports.clock import boottime
from headrace.ports.lane import LEASE, Lane
from headrace.service import Loop

_log = logging.getLogger("headrace.relay")
_PATIENCE = 2.0
_ANSWER = 1.0
_LOOK = 0.5
_SOON = 0.1
_LONGEST = 1.0


class Voter:
    """Looks, for one worker, whether the lane can be reached, and votes if it cannot be.

    A lane that answers and takes no writes, as a replica does, is out of reach, too.

    It asks nothing while the worker's own calls are answered; one whose slots are all busy makes
    none, and votes all the same. Once most living workers have voted, whoever voted last switches
    to direct mode; a worker that is cut off alone changes nothing. Then
    every worker hurries to say what it holds, and as soon as all have, the jobs are given out that
    may have lain in the lane. Whoever is dead or cut off from the ledger is waited for no longer
    than the grace (relay.py).

    Args:
        engine: the worker's.
        worker: its identity.
        switched: called when the worker should beat, and look for jobs, at once.
        lease: seconds. What is too short for a vote is a fraction of it.
        failed: called with a defect.
    """

    def __init__(
        self,
        engine: LedgeredEngine,
        worker: Callable[[], UUID],
        switched: Callable[[], None],
        *,
        lease: float = LEASE,
        failed: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._engine = engine
        self._ledger = engine.ledger.lanes
        self._worker = worker
        self._switched = switched
        self._patience = min(_PATIENCE, lease / 5)
        self._lost_at: float | None = None
        self._pause = _SOON
        self.loop: Loop = Loop("voter", self.poll, failed=failed)

    async def poll(self) -> float:
        """One look."""
        view, lane = self._engine.view, self._engine.lane
        if view.mode is Mode.DIRECT:
            self._lost_at = None
            self._engine.reach.begin()
            return _LOOK if view.calm else await self._agree(view)
        self._pause = _SOON
        if lane is None or await self._reached(lane, view):
            self._lost_at = None
            return _LOOK
        assert self._lost_at is not None
        if boottime() - self._lost_at < self._patience:
            return _SOON
        return await self._vote()

    async def _reached(self, lane: Lane, view: LaneView) -> bool:
        """Whether the lane answers: the worker's own calls tell, where it makes any."""
        reach, now = self._engine.reach, boottime()
        lost_at, silent = reach.lost_at or reach.silent_since, reach.silent_since
        answers = silent is None or now - silent < self._patience / 4
        recent = now - reach.reached_at < self._patience / 2
        if view.mode is Mode.HYBRID and reach.lost_at is None and recent and answers:
            return True
        try:
            async with asyncio.timeout(_ANSWER):
                await lane.probe()
        except (LaneError, TimeoutError):
            self._lost_at = self._lost_at or lost_at or now
            return False
        return True

    async def _vote(self) -> float:
        view = await self._ledger.view()
        if view.mode is not Mode.DIRECT:
            votes = await self._ledger.vote(self._worker())
            if 2 * votes.away <= votes.living:
                return _LOOK
            switched = await self._ledger.switch(view.epoch, Mode.DIRECT, voted=True)
            if switched is None:
                return _SOON
            view = switched
            _log.warning(
                "%d of %d workers cannot reach the lane: the ledger gives out the jobs (epoch %d)",
                votes.away,
                votes.living,
                view.epoch,
            )
        self._engine.heed(view)
        self._switched()
        return _SOON

    async def _agree(self, view: LaneView) -> float:
        """Find out whether all have said what they hold; less often where somebody says nothing."""
        await self._ledger.calm(view.epoch, agreed=True)
        now = await self._ledger.view()
        self._engine.heed(now)
        if now.calm:
            self._switched()
        pause, self._pause = self._pause, min(self._pause * 1.5, _LONGEST)
        return pause
