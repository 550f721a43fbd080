"""The flagship engine: the ledger decides, the lane carries; without one the ledger does both."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from itertools import count
from uuid import UUID

import msgspec

from headrace.bus.herald import BusHerald
from headrace.engines.adoption import Adoption
from headrace.engines.group_commit import GroupCommits
from headrace.engines.lane_dispatch import LaneDispatch
from headrace.engines.lane_inspector import LaneInspector
from headrace.engines.lane_lease import LaneLease
from headrace.engines.lane_owner import recognise
from headrace.engines.lane_sight import Doubt, as_they_run
from headrace.engines.reach import Reach
from headrace.engines.reconcile import reconcile
from headrace.engines.streams import TellingStreams
from headrace.engines.unblocking import Unblocking
from headrace.engines.write_through import Stamp, WriteThrough
from headrace.errors import LaneError, LaneUnavailable, LedgerError, WrongEpoch
from headrace.model.entry import Lease, Taken
from headrace.model.job import Beat, Delivery, Ending, Inserted, Job, NewJob
from headrace.model.lane_view import LaneView, Mode
from headrace.model.priority import STRIDES, Shares
from headrace.model.promise import NOTHING_SAID, Promise
from headrace.model.schedule import Move
from headrace.model.task import Declaration
from headrace.model.told import Telling
from headrace.model.verdict import BLOCKED
from headrace.ports.bus import Bus
from headrace.ports.engine import Transaction
from headrace.ports.inspector import Inspector
from headrace.ports.lane import Lane
from headrace.ports.ledger import Ledger
from headrace.ports.limiter import Limiter
from headrace.ports.link_ledger import Relations, Unblocked

_log = logging.getLogger("headrace.engine")


class LedgeredEngine:
    """Jobs in a ledger, dispatched straight from it or by a lane.

    Attributes:
        ledger: where the jobs are.
        lane: what carries them, if there is one.
        view: how the lane is, as far as this engine knows.
        reach: whether the lane answers the takes and waits of this engine.
        bus: what tells of its jobs: the ledger's own, if no other is given.
        herald: who tells.
        streams: what is kept for readers.
    """

    def __init__(self, ledger: Ledger, lane: Lane | None = None, bus: Bus | None = None) -> None:
        self.ledger = ledger
        self.lane = lane
        self.bus: Bus = bus or ledger.bus
        self.herald: BusHerald = BusHerald(self.bus, ledger.new_id)
        self.streams: TellingStreams = TellingStreams(
            ledger.streams, self.herald, ledger.once_committed
        )
        self.view: LaneView = LaneView(0, Mode.DIRECT)
        self._commits = GroupCommits(self._commit)
        self._shares: dict[tuple[UUID, str], Shares] = {}
        self._looking: asyncio.Task[None] | None = None
        self._looks, self._answered = count(1), 0
        self._doubt = Doubt()
        self._stopped = False
        self.reach: Reach = Reach()
        self._adoption = Adoption(ledger.lanes)
        self._unblocking = Unblocking(ledger.links, self._carry)
        if lane is not None:
            self._dispatch = LaneDispatch(ledger.lanes, lane)
            self._lease = LaneLease(lane)
            self._through = WriteThrough(lane, lambda: self.view, self._look_again)

    @property
    def inspector(self) -> Inspector:
        """What operators see and do."""
        return LaneInspector(self.ledger.inspector, self.ledger.lanes, self.lane)

    @property
    def limiter(self) -> Limiter:
        """What keeps rate limits: the ledger, whoever gives out jobs."""
        return self.ledger.limiter

    @property
    def links(self) -> Relations:
        """What jobs know of those that they wait for, and that wait for them."""
        return self.ledger.links

    async def start(self) -> None:
        """Connect; a lane that is away is no reason not to."""
        await self.ledger.open()
        self.heed(await self.ledger.lanes.view())
        if self.lane is not None:
            try:
                await self.lane.open()
                self.heed(await recognise(self.ledger.lanes, self.lane))
            except LaneUnavailable as exc:
                _log.warning("the lane is away, jobs wait in the ledger: %s", exc)

    async def stop(self) -> None:
        """Wait for inserts under way and disconnect."""
        self._stopped = True
        await self._commits.close()
        await self._unblocking.close()
        await self.herald.close()
        await self.bus.close()
        if self.lane is not None:
            await self._through.close()
            await self.lane.close()
        if self._looking is not None:
            await asyncio.wait([self._looking])
        await self.ledger.close()

    def heed(self, view: LaneView | None) -> None:
        """Go by this view of the lane, if it is newer."""
        if view is None:
            return
        if view.epoch > self.view.epoch or (view.epoch == self.view.epoch and view != self.view):
            self.view = view
            self.bus.belong_to(view.ledger)
            if self.lane is not None:
                self.lane.belong_to(view.ledger)
            if view.mode is Mode.DIRECT:
                self.reach.forsake()

    async def declare(
        self,
        tasks: Sequence[Declaration],
        queues: Sequence[str] = (),
        promises: Mapping[str, Promise] = NOTHING_SAID,
    ) -> None:
        """Make tasks, queues and what these promise known."""
        await self.ledger.declare(tasks, queues, promises)
        if promises:
            await self._look()

    def new_id(self) -> UUID:
        """An id for a job, on the ledger's clock."""
        return self.ledger.new_id()

    async def insert(self, jobs: Sequence[NewJob], tx: object = None) -> list[Inserted]:
        """Insert jobs: committed when it returns, or in the caller's transaction."""
        if tx is not None:
            return await self._insert_in(tx, jobs)
        promises = self.view.promises
        stamp = None if self.lane is None else self._through.stamp()
        inserted = await self._commits.insert(jobs, promises)
        if self.lane is not None:
            self._through.push(_to_run(jobs, inserted), stamp)
        self._unblocking.soon(_elsewhere(jobs))
        if self.herald.open:
            self.herald.enqueued(_fresh(jobs, inserted))
        return inserted

    async def _insert_in(self, tx: object, jobs: Sequence[NewJob]) -> list[Inserted]:
        stamp = None if self.lane is None else self._through.stamp()
        inserted = await self.ledger.insert_in(tx, jobs)
        fresh, parents = _fresh(jobs, inserted), _elsewhere(jobs)
        seated = any(one.seated for one in inserted)
        if fresh or parents or seated:
            new = _to_run(jobs, inserted)
            loop = asyncio.get_running_loop()
            told = partial(self._told_of_commit, fresh, new, stamp, parents, seated=seated)

            def tell() -> None:
                with suppress(RuntimeError):  # the loop is closed: a relay finds them
                    loop.call_soon_threadsafe(told)

            await self.ledger.once_committed(tx, tell)
        return inserted

    def _told_of_commit(
        self,
        fresh: Sequence[NewJob],
        jobs: Sequence[NewJob],
        stamp: Stamp | None,
        parents: Sequence[UUID],
        *,
        seated: bool,
    ) -> None:
        if self._stopped:
            return
        if self.herald.open:
            self.herald.enqueued(fresh)
        if seated:
            self._unblocking.seat_soon()
        self._unblocking.soon(parents)
        if self.lane is not None:
            self._through.push(jobs, stamp, told=True)
        self._ring_for(jobs)

    def _ring_for(self, jobs: Sequence[NewJob]) -> None:
        if self.view.mode is Mode.DIRECT:
            self.ledger.bell.ring({job.queue for job in jobs if not job.delay and not job.run_at})

    async def _commit(self, jobs: Sequence[NewJob], *, durable: bool) -> list[Inserted]:
        pushed = self.lane is not None and self._through.ready
        inserted = await self.ledger.insert(jobs, pushed=pushed, durable=durable)
        self._ring_for(jobs)
        return inserted

    async def unblock(self) -> float | None:
        """Let go what waits for jobs whose end nobody has looked at.

        Returns seconds until a job is due that needs a seat then; None if none is.
        """
        woken = await self.ledger.links.woken()
        if woken.now:
            await self._unblocking.sweep()
        return woken.next_due

    async def _carry(self, unblocked: Unblocked) -> None:
        """To where they are taken from; what the lane misses is found by the relay's sweep."""
        view = self.view
        if view.mode is Mode.DIRECT:
            # Whoever ended what came before is about to look for more, so hears of it first.
            self.ledger.bell.ring_here(unblocked.queues)
            self.ledger.bell.ring(unblocked.queues)
        if self.lane is None or view.mode is not Mode.HYBRID:
            return
        standing = await self.ledger.lanes.standing(unblocked.jobs, view)
        try:
            await reconcile(self.lane, view, dict.fromkeys(unblocked.jobs, 0), standing)
        except LaneError as exc:
            _log.info("jobs that may run now go to the lane by a relay: %s", exc)

    async def make_ticks(self, moves: Sequence[Move]) -> int:
        """Insert the jobs of ticks and move their schedules on; returns how many jobs were made.

        They go to the lane, or the bell, as other jobs do.
        """
        stamp = None if self.lane is None else self._through.stamp()
        made = await self.ledger.ticks.make(moves)
        jobs = [
            msgspec.structs.replace(job, id=one.id)
            for move in moves
            for job, one in zip(move.jobs, made.get(move.schedule.name, ()), strict=False)
            if not (one.duplicate or one.blocked)
        ]
        self._ring_for(jobs)
        if self.herald.open:
            self.herald.enqueued(jobs)
        if self.lane is not None and jobs:
            self._through.push(jobs, stamp)
        return len(jobs)

    async def register(
        self, worker: UUID, host: str, pid: int, queues: Mapping[str, int], lease: float
    ) -> None:
        """Begin a worker's lease: it may be silent for so many seconds."""
        await self.ledger.register(worker, host, pid, queues, lease)
        # Who is not known to the ledger is not asked what it holds, before the lane's jobs are
        # given out elsewhere: so it takes nothing under an epoch that was over by then.
        await self._look()

    async def take(
        self, worker: UUID, queue: str, call: int, n: int, *, ahead: bool = False
    ) -> Taken:
        """Up to `n` due jobs, from the lane or, in direct mode, from the ledger."""
        if self.view.mode is Mode.DIRECT:
            claimed = await self._claim(worker, queue, call, n, ahead=ahead)
            if not claimed and self.lane is not None:
                self._look_again()  # nothing is to be had here once the lane gives out
            return Taken(claimed)
        if self.view.mode is Mode.REBUILD:
            await self._look()
            return Taken([])
        await self._lane_in_use()
        view = self.view
        try:
            async with self.reach.seen():
                await self._lease.begin(view.epoch, worker)
                taken = await self._dispatch.take(view, worker, queue, call, n, ahead=ahead)
        except WrongEpoch:
            await self._look()
            return Taken([])
        return taken._replace(epoch=view.epoch)

    async def _lane_in_use(self) -> Lane:
        if self.lane is None:
            await self._look()
            raise LaneUnavailable(
                "a lane gives out the jobs of this database, but this process has no redis_url; "
                "configure it, or run `headrace lane off`"
            )
        return self.lane

    async def _claim(
        self, worker: UUID, queue: str, call: int, n: int, *, ahead: bool
    ) -> list[Delivery]:
        shares = self._shares.setdefault((worker, queue), Shares())
        told = shares.passes(), STRIDES
        taken = await self.ledger.claim(worker, queue, call, n, told, ahead=ahead)
        shares.took(delivery.priority for delivery in taken)
        return taken

    async def charge(self, worker: UUID, queue: str, call: int) -> None:
        """From now on what a call took ahead counts as started: the ledger alone keeps that."""
        await self.ledger.charge(worker, queue, call)

    async def due(self, queues: Sequence[str]) -> bool:
        """Whether a job of these queues waits to run now, or may since others have ended."""
        await self._unblocking.done()
        await self.unblock()
        return bool(await self.ledger.due(queues))

    async def ripe(self, queues: Sequence[str]) -> set[str]:
        """Those of these queues that have something to take; who asks learns of the lane, too."""
        if self.view.mode is Mode.DIRECT:
            ripe = await self.ledger.due(queues, paused=False)
            if not ripe and self.lane is not None:
                self._look_again()
            return ripe
        if self.view.mode is Mode.REBUILD:
            await self._look()
            return set()
        lane = await self._lane_in_use()
        try:
            async with self.reach.seen():
                return await lane.ripe(self.view.epoch, queues)
        except WrongEpoch:
            await self._look()
            return set()

    async def wait(self, worker: UUID, queues: Sequence[str], seconds: float) -> str | None:
        """Wait for the lane, or in direct mode the bell, to tell of something."""
        if self.view.mode is Mode.DIRECT:
            return await self.ledger.bell.wait(worker, queues, seconds)
        if self.lane is None or self.view.mode is not Mode.HYBRID:
            return None
        try:
            async with self.reach.seen(at_once=False):
                return await self.lane.wait(worker, queues, seconds)
        except WrongEpoch:
            return None

    async def nudge(self, worker: UUID) -> None:
        """End a wait of the worker."""
        self.ledger.bell.nudge(worker)
        if self.lane is not None:
            await self.lane.nudge(worker)

    async def settle(self, worker: UUID, endings: Sequence[Ending]) -> set[tuple[UUID, int]]:
        """Write outcomes to the ledger, fenced; then remove them from the lane."""
        durable = self.view.promises.wait_for_the_disk(one.delivery.queue for one in endings)
        settlements = [one.settlement for one in endings]
        accepted = await self.ledger.settle(worker, settlements, durable=durable)
        if self.lane is not None:
            self._dispatch.acknowledge(worker, [one.delivery for one in endings])
        if self.herald.open:
            self.herald.ended(endings, accepted)
        return accepted

    def settled(self, worker: UUID, delivery: Delivery) -> None:
        """A delivery is over in the ledger: remove it from the lane."""
        if self.lane is not None:
            self._dispatch.acknowledge(worker, [delivery])

    async def release(self, worker: UUID, deliveries: Sequence[Delivery]) -> None:
        """Give back jobs that have not started."""
        view = self.view
        # In direct mode what a lane gave may have been adopted; if not, there is nothing to give.
        direct = view.mode is Mode.DIRECT
        owned = [one for one in deliveries if one.owned or direct]
        carried = [one for one in deliveries if not (one.owned or direct)]
        if owned:
            await self.ledger.release(worker, owned)
        if carried and self.lane is not None:
            await self.lane.release(view.epoch, worker, carried)

    async def extend(self, deliveries: Sequence[Delivery]) -> set[UUID]:
        """The ids among these that may go on."""
        return await self.ledger.extend(deliveries)

    async def tell(self, tellings: Sequence[Telling]) -> None:
        """Keep what running attempts tell: the ledger alone does."""
        await self.ledger.tell(tellings)

    async def forfeit(self, worker: UUID, delivery: Delivery) -> bool:
        """Give up a job that its worker cannot end; the relay's sweep brings it into the lane."""
        await self.ledger.forfeit(worker, [delivery], BLOCKED)
        if not delivery.owned and self.lane is not None and self.view.mode is Mode.HYBRID:
            # After a loss of the lane's data somebody else may run this very token (R1).
            own = await self.lane.extend(self.view.epoch, worker, [delivery])
            leases = [Lease(worker, *token, delivery.call) for token in own]
            await self.ledger.lanes.bump(self.view.epoch, leases, BLOCKED)
        return not await self.ledger.extend([delivery])

    async def beat(
        self,
        worker: UUID,
        hand: Sequence[Delivery],
        answered: int,
        heeds: int | None = None,
        busy: int = 0,
    ) -> Beat:
        """Prolong the worker's lease in the ledger, then in the lane; or adopt what that gave."""
        carried = [one for one in hand if not one.owned]
        says = heeds if self._adoption.covers(carried) else None
        beat = await self.ledger.beat(worker, hand, answered, says, busy)
        if not beat.alive or beat.view is None:
            return beat
        self.heed(beat.view)
        if beat.view.mode is Mode.DIRECT:
            lost = await self._adoption.adopt(beat.view.epoch, heeds, worker, carried)
            said = beat.view.calm or says == beat.view.epoch
            return msgspec.structs.replace(beat, lost=beat.lost | lost, said=said)
        self._adoption.forget()
        if self.lane is None:
            return beat  # `take` says what is wrong; nothing of a lane is held here
        lane = await self._lease.prolong(beat.view, worker, carried, answered)
        return msgspec.structs.replace(beat, alive=lane.alive, lost=beat.lost | lane.lost)

    async def leave(self, worker: UUID, running: Sequence[Delivery]) -> None:
        """End the worker's lease: first where it is decided what becomes of its jobs."""
        await self.ledger.leave(worker, running)
        if self.lane is not None and self.view.mode is Mode.HYBRID:
            try:
                await self._dispatch.flush(self.view.epoch, worker)
                await self.lane.leave(self.view.epoch, worker)
            except (LaneUnavailable, WrongEpoch) as exc:
                _log.warning("the worker's lease in the lane runs out by itself: %s", exc)

    def transaction(self, session: object) -> AbstractAsyncContextManager[Transaction]:
        """A transaction in which a handler's writes and its completion commit together."""
        return self.ledger.transaction(session)

    async def outcomes(self, ids: Sequence[UUID]) -> list[Job]:
        """The jobs among these that are over."""
        return await self.ledger.outcomes(ids)

    async def get(self, ids: Sequence[UUID]) -> list[Job]:
        """Jobs as they are now; what the lane has given out is running."""
        jobs = await self.ledger.get(ids)
        return await as_they_run(self.lane, self.view, jobs, self._doubt)

    async def _look(self) -> None:
        before, asked = self.view, next(self._looks)
        view = await self.ledger.lanes.view()
        if asked < self._answered:
            return  # a later look was answered before: it knows more of what queues promise
        self._answered = asked
        if view.epoch < before.epoch and view.ledger == before.ledger and self.view is before:
            self.view = view  # restored; what was heeded meanwhile is later than this
        self.heed(view)

    def _look_again(self) -> None:
        """Learn, behind the caller's back, how the lane is now."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_quietly())

    async def _look_quietly(self) -> None:
        try:
            await self._look()
        except LedgerError as exc:
            _log.warning("how the lane is now is not known: %s", exc)


def _fresh(jobs: Sequence[NewJob], inserted: Sequence[Inserted]) -> list[NewJob]:
    """Those that are new."""
    return [job for job, one in zip(jobs, inserted, strict=True) if not one.duplicate]


def _to_run(jobs: Sequence[NewJob], inserted: Sequence[Inserted]) -> list[NewJob]:
    """Those that are new, and wait for nobody."""
    pairs = zip(jobs, inserted, strict=True)
    return [job for job, one in pairs if not (one.duplicate or one.blocked)]


def _elsewhere(jobs: Sequence[NewJob]) -> list[UUID]:
    """What they come after and was there before: it may be over."""
    parents = {link.id for job in jobs if job.links is not None for link in job.links.after}
    return list(parents.difference(job.id for job in jobs)) if parents else []
