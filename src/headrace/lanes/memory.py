"""The reference lane: in one process, for tests and for reading what a lane must do."""

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import replace

from headrace.lanes.hands import Worker
from headrace.lanes.memory_upkeep import MemoryUpkeep
from headrace.model.entry import (
    Capabilities,
    Cursor,
    LaneEntry,
    PutReply,
    Taken,
    body_of,
    delivery_of,
)
from headrace.model.job import Beat, Delivery

_FRESH = 2_000


class MemoryLane(MemoryUpkeep):
    """A lane in memory: the verbs of producers and workers."""

    capabilities: Capabilities = Capabilities()

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to disconnect."""

    def stamp(self) -> int | None:
        """The lane's clock now, in milliseconds."""
        return self._now()

    async def put(self, epoch: int, entries: Sequence[LaneEntry]) -> list[PutReply]:
        """Put entries."""
        self._check(epoch)
        return [self._put(entry) for entry in entries]

    def _put(self, entry: LaneEntry) -> PutReply:
        now, old = self._now(), self._book.jobs.get(entry.id)
        if old is not None and old.gen >= entry.gen:
            return PutReply.KNOWN
        flagged = entry.flagged or entry.stamp is None or not 0 <= now - entry.stamp <= _FRESH
        if not flagged and self._tombs.get(entry.id, 0) > now:
            return PutReply.REFUSED
        due = now + max(0, round(entry.delay * 1000))
        if not entry.clear:
            due = max(due, self._grace)
        if self._full(entry, delayed=due > now):
            self._spills.add((entry.queue, entry.priority), Cursor(entry.run_at, entry.id))
            self._remove(entry.id)
            return PutReply.FULL
        awaited = entry.awaited or (old is not None and old.awaited)
        if old is not None:
            self._flags.discard((old.id, old.gen))
        stored = replace(entry, flagged=flagged, awaited=awaited)
        news = self._book.place(stored, due if due > now else None)
        if news and entry.queue not in self._paused:
            self._waits.wake(entry.queue)
        return PutReply.STORED

    def _full(self, entry: LaneEntry, *, delayed: bool) -> bool:
        cap = self._cap.get(entry.queue, self._caps.level)
        depth = self._book.depth(entry.queue)
        ready = depth.ready[entry.priority]
        if len(self._book.jobs) >= self._caps.total:
            return depth.delayed + ready >= min(cap, self._caps.floor)
        return (depth.delayed if delayed else ready) >= cap

    async def take(
        self,
        epoch: int,
        worker: UUID,
        queue: str,
        call: int,
        n: int,
        *,
        acks: Sequence[Delivery] = (),
    ) -> Taken:
        """Ack, then lease up to `n` due entries."""
        await self.ack(epoch, worker, acks)
        now = self._now()
        me = self._hands.alive(worker, now)
        if me is None or call < me.calls[queue]:
            return Taken([])
        suspect = self._suspect > now
        if call == me.calls[queue]:
            again = self._hands.given_by(me, queue, call)
            return Taken([self._given(one, call, suspect) for one in again])
        me.calls[queue] = call
        if queue in self._paused:
            return Taken([])
        self._book.ripen(queue, now)
        taken = self._book.take(queue, n)
        me.held.update((one.id, (one, call)) for one in taken)
        if self._book.waiting(queue):
            self._waits.wake(queue)
        else:
            self._waits.forget(queue)
        next_due = None if len(taken) == n else self._book.next_due(queue, now)
        return Taken([self._given(one, call, suspect) for one in taken], next_due)

    async def ripe(self, epoch: int, queues: Sequence[str]) -> set[str]:
        """Those of these queues that have something to give out now."""
        self._check(epoch)
        for queue in queues:
            self._book.ripen(queue, self._now())
        return {one for one in queues if self._book.waiting(one) and one not in self._paused}

    async def wait(self, worker: UUID, queues: Sequence[str], seconds: float) -> str | None:
        """Wait for something to take."""
        return await self._waits.wait(worker, queues, seconds)

    async def nudge(self, worker: UUID) -> None:
        """End the worker's wait, or the next one."""
        self._waits.nudge(worker)

    async def ack(self, epoch: int, worker: UUID, deliveries: Sequence[Delivery]) -> None:
        """Remove entries whose outcome the ledger has."""
        self._check(epoch)
        for one in deliveries:
            if self._hands.owns(worker, one):
                self._remove(one.id)
            self._hands.let_go(worker, one)

    async def extend(
        self, epoch: int, worker: UUID, deliveries: Sequence[Delivery]
    ) -> set[tuple[UUID, int]]:
        """The tokens among these that are still the worker's own."""
        self._check(epoch)
        return {one.token for one in deliveries if self._hands.owns(worker, one)}

    async def release(self, epoch: int, worker: UUID, deliveries: Sequence[Delivery]) -> None:
        """Give entries back that have not started."""
        self._check(epoch)
        for one in reversed(deliveries):
            if self._hands.owns(worker, one):
                entry = replace(self._book.jobs[one.id], flagged=True)
                self._book.give_back(entry)
                if entry.queue not in self._paused:
                    self._waits.wake(entry.queue)
            self._hands.let_go(worker, one)

    async def beat(self, epoch: int, worker: UUID, hand: Sequence[Delivery], answered: int) -> Beat:
        """Begin or prolong a worker's lease."""
        self._check(epoch)
        if self._hands.condemned(worker):
            self._look_at_clock()
            return Beat(alive=False)
        me = self._prolong(worker)
        lost = frozenset(one.token for one in hand if not self._hands.owns(worker, one))
        orphans = self._hands.unnamed(me, hand, answered)
        await self.release(epoch, worker, [_delivery(one, call, False) for one, call in orphans])
        return Beat(alive=True, lost=lost)

    async def leave(self, epoch: int, worker: UUID) -> None:
        """End a worker's lease."""
        self._check(epoch)
        self._hands.end(worker, self._now())

    async def reassert(
        self, epoch: int, worker: UUID, hand: Sequence[Delivery]
    ) -> set[tuple[UUID, int]]:
        """Bring what a worker holds into a new epoch."""
        self._check(epoch)
        me, open_ = self._prolong(worker, look=False), self._grace > self._now()
        own: set[tuple[UUID, int]] = set()
        for one in hand:
            entry = self._book.jobs.get(one.id)
            free = entry is None or (entry.gen <= one.gen and not entry.clear)
            if not self._hands.owns(worker, one) and open_ and free:
                awaited = entry is not None and entry.awaited
                back = _entry(one, awaited=awaited)
                self._book.jobs[one.id] = back
                me.held[one.id] = (back, one.call)
            if self._hands.owns(worker, one):
                own.add(one.token)
        return own

    def _given(self, entry: LaneEntry, call: int, suspect: bool) -> Delivery:  # noqa: FBT001 - inner
        return _delivery(entry, call, suspect or (entry.id, entry.gen) in self._flags)

    def _prolong(self, worker: UUID, *, look: bool = True) -> Worker:
        if look:
            self._look_at_clock()
        return self._hands.prolong(worker, self._now() + self._lease)


def _delivery(entry: LaneEntry, call: int, suspect: bool) -> Delivery:  # noqa: FBT001 - inner
    token = (entry.id, entry.gen)
    return delivery_of(
        token, entry.queue, entry.priority, entry.body, call, entry.flagged or suspect
    )


def _entry(one: Delivery, *, awaited: bool) -> LaneEntry:
    return LaneEntry(
        id=one.id,
        gen=one.gen,
        queue=one.queue,
        priority=one.priority,
        body=body_of(one),
        awaited=awaited,
        clear=True,
    )
