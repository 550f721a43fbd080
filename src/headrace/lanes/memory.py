"""The reference lane: in one process, for tests and for reading what a lane must do."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from msgspec.structs import replace

from headrace.errors import WrongEpoch
from headrace.lanes.book import Book
from headrace.lanes.hands import Hands, Worker
from headrace.lanes.spills import Spills
from headrace.lanes.waits import Waits
from headrace.model.entry import (
    Capabilities,
    Caps,
    Cursor,
    Depth,
    Ended,
    LaneEntry,
    Lease,
    PutReply,
    Taken,
    body_of,
    delivery_of,
)
from headrace.model.job import Beat, Delivery, Token
from headrace.ports.clock import boottime
from headrace.ports.lane import GRACE, LEASE

_FRESH = 2_000
_TOMBSTONE = 10_000
_SUSPECT = 60_000


class MemoryLane:
    """A lane in memory.

    Args:
        caps: how many entries it holds where `limit` sets nothing else.
        lease: seconds a worker may be silent.
        clock: seconds, never stepping back.
    """

    capabilities = Capabilities()

    def __init__(
        self,
        *,
        caps: Caps = Caps(),  # noqa: B008 - immutable
        lease: float = LEASE,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self._caps = caps
        self._lease = round(lease * 1000)
        self._clock = clock
        self._waits = Waits()
        self._epoch: int | None = None
        self._empty(grace=0)

    def _empty(self, grace: int) -> None:
        self._book = Book()
        self._hands = Hands(self._book)
        self._spills = Spills()
        self._tombs: dict[UUID, int] = {}
        self._flags: set[Token] = set()
        self._paused: set[str] = set()
        self._cap: dict[str, int] = {}
        self._grace = self._now() + grace
        self._looked = self._now()
        self._suspect_all = self._grace + _SUSPECT
        self._suspects: defaultdict[str, int] = defaultdict(int)

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to disconnect."""

    def stamp(self) -> int | None:
        """The lane's clock now, in milliseconds."""
        return self._now()

    async def epoch(self) -> int | None:
        """The epoch the lane is at."""
        return self._epoch

    async def open_epoch(
        self, epoch: int, *, grace: float = GRACE, paused: Sequence[str] = ()
    ) -> None:
        """Empty the lane and begin an epoch."""
        if epoch == self._epoch:
            return
        if self._epoch is not None and self._epoch > epoch:
            raise WrongEpoch(f"the lane is at epoch {self._epoch}, later than {epoch}")
        self._epoch = epoch
        self._empty(round(grace * 1000))
        self._paused.update(paused)

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
        places = depth.delayed if delayed else depth.ready[entry.priority]
        return len(self._book.jobs) >= self._caps.total or places >= cap

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
        suspect = max(self._suspect_all, self._suspects[queue]) > now
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

    async def expired(self, epoch: int, n: int) -> list[Lease]:
        """Up to `n` leases of workers whose lease is over."""
        self._check(epoch)
        self._look_at_clock()
        return self._hands.condemn(self._hands.lapsed(self._now())[:n])

    async def flag(self, epoch: int, ids: Sequence[UUID]) -> set[Token]:
        """Have whoever takes these jobs ask the ledger, whatever comes."""
        self._check(epoch)
        for id_ in ids:
            if id_ in self._book.jobs:
                self._flags.add((id_, self._book.jobs[id_].gen))
            else:
                self._tombs[id_] = self._now() + _TOMBSTONE
        return await self.leased(epoch, ids)

    async def leased(self, epoch: int, ids: Sequence[UUID]) -> set[Token]:
        """The attempts at these jobs that workers hold."""
        self._check(epoch)
        asked = set(ids)
        return {token for token in self._hands.all() if token[0] in asked}

    async def held(self, epoch: int, n: int) -> dict[Token, str]:
        """Up to `n` attempts that workers hold, with their queue."""
        self._check(epoch)
        return dict(list(self._hands.all().items())[:n])

    async def drop(self, epoch: int, entries: Sequence[Ended]) -> None:
        """Remove entries, wherever they are."""
        self._check(epoch)
        for one in entries:
            entry = self._book.jobs.get(one.id)
            if entry is None or entry.gen <= one.gen:
                self._remove(one.id)
                if one.awaited:
                    self._tombs[one.id] = self._now() + _TOMBSTONE

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

    async def pause(self, epoch: int, queue: str) -> None:
        """Give nothing out of a queue."""
        self._check(epoch)
        self._paused.add(queue)

    async def resume(self, epoch: int, queue: str) -> None:
        """Undo `pause`."""
        self._check(epoch)
        self._paused.discard(queue)
        self._waits.wake(queue)

    async def paused(self, epoch: int) -> set[str]:
        """The queues that are paused here."""
        self._check(epoch)
        return set(self._paused)

    async def suspect(self, epoch: int, queue: str, seconds: float) -> None:
        """Give out all of a queue flagged for so long."""
        self._check(epoch)
        until = self._now() + round(seconds * 1000)
        self._suspects[queue] = max(until, self._suspects[queue])

    async def limit(self, epoch: int, caps: Mapping[str, int]) -> None:
        """Set how many entries a level of these queues may hold."""
        self._check(epoch)
        self._cap.update(caps)

    async def depth(self, epoch: int, queue: str) -> Depth:
        """How much a queue has in the lane."""
        self._check(epoch)
        return self._book.depth(queue)

    async def sound(self, epoch: int) -> bool:
        """Whether every entry has a place: nothing here can lose one."""
        self._check(epoch)
        return True

    async def cursors(self, epoch: int) -> dict[tuple[str, int], Cursor]:
        """From where a queue's level has rows that the lane did not take."""
        self._check(epoch)
        return dict(self._spills.cursors)

    async def move_cursor(
        self, epoch: int, queue: str, level: int, old: Cursor | None, new: Cursor | None
    ) -> bool:
        """Set a cursor, if it is `old`."""
        self._check(epoch)
        return self._spills.move((queue, level), old, new)

    def _now(self) -> int:
        return round(self._clock() * 1000)

    def _check(self, epoch: int) -> None:
        if epoch != self._epoch:
            raise WrongEpoch(f"the lane is at epoch {self._epoch}, not {epoch}")

    def _given(self, entry: LaneEntry, call: int, suspect: bool) -> Delivery:  # noqa: FBT001 - inner
        return _delivery(entry, call, suspect or (entry.id, entry.gen) in self._flags)

    def _remove(self, id_: UUID) -> None:
        entry = self._book.jobs.pop(id_, None)
        if entry is not None:
            self._flags.discard((id_, entry.gen))
            if entry.awaited:
                self._tombs[id_] = self._now() + _TOMBSTONE

    def _prolong(self, worker: UUID, *, look: bool = True) -> Worker:
        if look:
            self._look_at_clock()
        return self._hands.prolong(worker, self._now() + self._lease)

    def _look_at_clock(self) -> None:
        """Whoever could not be watched gets one full lease (protocol A1).

        The beats of one worker, every third of a lease or a little later, are looks enough.
        """
        now = self._now()
        if now - self._looked > self._lease / 2:
            self._hands.prolong_all(now + self._lease)
            self._suspect_all = max(self._suspect_all, now + _SUSPECT)
        self._looked = now


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
