"""The reference lane's verbs of relay and operators: epochs, repair, pauses, cursors."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from headrace.errors import WrongEpoch
from headrace.lanes.book import Book
from headrace.lanes.hands import Hands
from headrace.lanes.spills import Spills
from headrace.lanes.waits import Waits
from headrace.model.entry import Caps, Cursor, Depth, Ended, Lease, Moved
from headrace.model.job import Token
from headrace.model.lane_view import NOBODY, Mark, Sighting
from headrace.ports.clock import boottime
from headrace.ports.lane import GRACE, LEASE

_TOMBSTONE = 10_000
_SUSPECT = 60_000


class MemoryUpkeep:
    """What a memory lane is and what keeps it in order; `ports/lane.py` says what each verb does.

    Args:
        caps: how many entries it holds where `limit` sets nothing else.
        lease: seconds a worker may be silent.
        clock: seconds, never stepping back.
    """

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
        self._ledger = NOBODY
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
        self._suspect = self._grace + _SUSPECT
        self._mark: Mark | None = None

    def belong_to(self, ledger: UUID) -> None:
        """Carry for this ledger from now on; what was carried for another is forgotten."""
        if ledger != self._ledger:
            self._ledger, self._epoch = ledger, None
            self._empty(grace=0)

    async def epoch(self) -> int | None:
        """The epoch the lane is at."""
        return self._epoch

    async def seen(self) -> Sighting | None:
        """What the lane tells of itself."""
        if self._epoch is None:
            return None
        return Sighting(self._epoch, living=True, mark=self._mark)

    async def probe(self) -> None:
        """Write something that means nothing: it can always be written."""

    async def mark(self, epoch: int, mark: Mark) -> None:
        """Leave a mark of the ledger, unless one of a higher tide is there."""
        self._check(epoch)
        if self._mark is None or self._mark.tide < mark.tide:
            self._mark = mark

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
    ) -> Moved:
        """Set a cursor, if it is `old`."""
        self._check(epoch)
        return self._spills.move((queue, level), old, new)

    def _now(self) -> int:
        return round(self._clock() * 1000)

    def _check(self, epoch: int) -> None:
        if epoch != self._epoch:
            raise WrongEpoch(f"the lane is at epoch {self._epoch}, not {epoch}")

    def _remove(self, id_: UUID) -> None:
        entry = self._book.jobs.pop(id_, None)
        if entry is not None:
            self._flags.discard((id_, entry.gen))
            if entry.awaited:
                self._tombs[id_] = self._now() + _TOMBSTONE

    def _look_at_clock(self) -> None:
        """A time in which nobody looked is no silence (protocol A1; lua/prelude.lua says why).

        The beats of one worker, every third of a lease or a little later, are looks enough.
        """
        now = self._now()
        if now - self._looked > self._lease / 2:
            self._hands.excuse(self._looked, now - self._looked)
            self._suspect = max(self._suspect, now + _SUSPECT)
        self._looked = now
