"""The relay: carries jobs from the ledger into the lane, and builds a lost lane anew."""

import logging
from collections.abc import Callable

from headrace.engines.lane_owner import recognise
from headrace.errors import LaneUnavailable
from headrace.model.lane_view import LaneView, Mode, Sighting, short
from headrace.ports.clock import boottime
from headrace.ports.lane import LEASE, Lane, grace_of
from headrace.ports.lane_ledger import LaneLedger
from headrace.relay.lane_reaper import LaneReaper
from headrace.relay.leadership import Leadership
from headrace.relay.pauses import Pauses
from headrace.relay.steadiness import Steadiness
from headrace.relay.stranger import Stranger
from headrace.relay.sweep import Sweep
from headrace.relay.untold import Untold
from headrace.relay.walk import CAP, STEP, Walk
from headrace.service import Loop

_log = logging.getLogger("headrace.relay")
HORIZON = 30.0
_SHORTEST = 0.05
_LONGEST = 1.0
_CHECK = 60.0


class Relay:
    """Keeps the lane equal to the ledger.

    Any number of relays is correct, since every step is idempotent by (id, gen) and bound to the
    epoch; one leads, which saves the others the work.

    Args:
        lease: seconds a worker may be silent. The lane is looked at often enough for its clock, and
            a leader that dies is followed by another, within less than that.
        grace: seconds after which nobody works under an earlier epoch any more; by this lease and
            those of all living workers where None.
        cap: how many entries a level of the lane holds.
        failed: called with a defect.
    """

    def __init__(
        self,
        ledger: LaneLedger,
        lane: Lane | None,
        *,
        lease: float = LEASE,
        grace: float | None = None,
        cap: int = CAP,
        failed: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._lane = lane
        self._set_grace = grace
        self._least_grace = grace_of(lease) if grace is None else grace
        role = "clock of the lane" if lane is None else "relay"
        self._leadership = Leadership(ledger, role, min(lease, LEASE) / 3)
        self._marks_every = min(lease, LEASE) / 6  # others may wait for less than this lease
        self._longest = min(_LONGEST, lease / 5)
        self._epoch = 0
        self._since = 0.0
        self._checked = 0.0
        self._marked = 0.0
        self._pause = _SHORTEST
        if lane is not None:
            self._walk = Walk(ledger, lane, horizon=HORIZON, cap=cap)
            self._sweep = Sweep(ledger, lane, self._walk, horizon=HORIZON)
            self._reaper = LaneReaper(ledger, lane)
            self._pauses = Pauses(lane)
            self._steadiness = Steadiness(lease)
            self._stranger = Stranger(ledger, lease=lease)
            self._untold = Untold(ledger, lane)
        self.loop: Loop = Loop("relay", self.poll, ended=self._leadership.resign, failed=failed)

    async def poll(self) -> float:
        """One round; who cannot reach the lane lets another lead."""
        if not await self._leadership.held():
            return self._longest
        try:
            return await self._lead()
        except LaneUnavailable:
            await self._leadership.resign()
            raise

    async def _lead(self) -> float:
        view = await self._ledger.view()
        self._watch(view)
        if not view.calm:
            await self._wait_until_calm(view)
        if self._lane is None:
            return self._longest
        if view.mode is Mode.DIRECT:
            if await self._may_begin(self._lane, view):
                await self._begin(view)
            return self._longest
        self._lane.belong_to(view.ledger)
        seen = await self._lane.seen()
        if seen is not None and not view.owns(seen):
            view = await recognise(self._ledger, self._lane)
        if view.mode is Mode.REBUILD:
            return await self._build(self._lane, view, seen)
        if not await self._holds(self._lane, view, seen):
            _log.warning("the lane lost its data (epoch %d); building it anew", view.epoch)
            await self._ledger.switch(view.epoch, Mode.REBUILD)
            return 0.0
        await self._leave_mark(self._lane, view)
        return await self._carry(view)

    async def _holds(self, lane: Lane, view: LaneView, seen: Sighting | None) -> bool:
        """Whether the lane has what was put into it: all of it, or in part as of a minute ago."""
        if seen is None or not seen.living or seen.epoch != view.epoch:
            return False
        if boottime() - self._checked < _CHECK:
            return True
        self._checked = boottime()
        return await lane.sound(view.epoch)

    def _watch(self, view: LaneView) -> None:
        """Time since a switch is measured here, from when it was seen (as the reaper does)."""
        if view.epoch != self._epoch:
            self._epoch = view.epoch
            self._since = boottime()
            if self._lane is not None:
                self._sweep.forget()

    async def _wait_until_calm(self, view: LaneView) -> None:
        waited = boottime() - self._since
        over = waited >= self._least_grace and waited >= await self._grace()
        await self._ledger.calm(view.epoch, agreed=not over)

    async def _grace(self) -> float:
        """The longest lease decides: who has it may go on without a word from the lane."""
        if self._set_grace is not None:
            return self._set_grace
        return max(self._least_grace, grace_of(await self._ledger.longest_lease()))

    async def _may_begin(self, lane: Lane, view: LaneView) -> bool:
        """Not while an operator holds it off, nor soon after most workers could not reach it.

        Nor before all is calm: what may have lain in it would wait for the grace of a new lane.
        """
        if view.held or not view.voted:
            return not view.held
        return view.calm and await self._steadiness.shown(lane, view.epoch)

    async def _begin(self, view: LaneView) -> None:
        """A lane is configured and nobody wants it off: use it."""
        await self._ledger.switch(view.epoch, Mode.REBUILD)

    async def _build(self, lane: Lane, view: LaneView, seen: Sighting | None) -> float:
        """A new lane for an epoch that the ledger has begun: first a grace, then a refill.

        Opening it again changes nothing; who came second to a strange one finds its mark.
        """
        strange = seen is not None and not view.owns(seen)
        if seen is not None and strange and not await self._stranger.gone(view, seen):
            return self._longest
        paused = [queue.name for queue in await self._ledger.queues() if queue.paused]
        await lane.open_epoch(view.epoch, grace=await self._grace(), paused=paused)
        await lane.mark(view.epoch, view.mark)
        opened = await lane.seen()
        if opened is not None and view.owns(opened):
            await self._ledger.fence(view.epoch, Mode.HYBRID)
            _log.info("the lane %s is open under epoch %d", short(view.ledger), view.epoch)
        return 0.0

    async def _leave_mark(self, lane: Lane, view: LaneView) -> None:
        """Every now and then, in the ledger first; it tells copies that this lane is in use."""
        if boottime() - self._marked < self._marks_every:
            return
        marked = await self._ledger.mark(view.epoch)
        if marked is not None:
            await lane.mark(marked.epoch, marked.mark)
            self._marked = boottime()

    async def _carry(self, view: LaneView) -> float:
        queues = await self._ledger.queues()
        await self._pauses.round(view, queues)
        moved = await self._untold.round(view)
        moved += await self._reaper.round(view)
        moved += await self._sweep.round(view)
        fed = await self._walk.round(view, queues)
        self._pause = _SHORTEST if moved + fed else min(self._pause * 2, self._longest)
        # While whole steps find room, workers empty the lane faster than it is filled.
        return 0.0 if fed >= STEP else self._pause
