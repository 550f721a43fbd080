"""The walk: feeds a bounded lane from a backlog, and what comes due (protocol A2).

A queue's level is walked in its order, (run_at, id), from the start up to the horizon, where the
walk goes on as time does. A put that does not fit leaves the lane's own cursor at it: from there
the refill goes on when there is room. So each job due within the horizon is in the lane, beyond its
level's cursor, or in somebody's hands.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from headrace.model.entry import START, Cursor, LaneEntry, PutReply
from headrace.model.lane_view import LaneView
from headrace.ports.clock import boottime
from headrace.ports.lane import Lane
from headrace.ports.lane_ledger import LaneLedger, QueueRow

CAP = 20_000
STEP = 500
_STEPS = 20  # of one level in one round: workers must not empty a lane faster than it is filled
_NET = 60.0
_EASE = 20  # a walk along what the lane has already takes a twentieth of the relay's time
_Level = tuple[str, int]


class Walk:
    """Walks every queue and level, and refills those that have spilled.

    Every minute it begins anew: whatever was lost from the lane, key by key, is found, also while a
    level is refilled (test_walk.py loses a job without). What it meets by the way is in the lane
    already, mostly, and runs before what may be missing behind it: so it takes its time.

    Args:
        cap: how many entries a level of the lane holds. A level is refilled as soon as a step fits,
            so that the relay does not rest while workers empty it.
    """

    def __init__(self, ledger: LaneLedger, lane: Lane, *, horizon: float, cap: int = CAP) -> None:
        self._ledger = ledger
        self._lane = lane
        self._horizon = horizon
        self._rest = horizon / 6
        self._cap = cap
        self._reached: dict[_Level, Cursor] = {}
        self._rests: dict[_Level, float] = {}
        self._waiting: Mapping[int, list[int]] = {}
        self._looks_at = 0.0
        self._began = boottime()

    def restart(self) -> None:
        """Walk from the start again."""
        self._reached.clear()
        self._rests.clear()
        self._looks_at = 0.0
        self._began = boottime()

    async def round(self, view: LaneView, queues: Sequence[QueueRow]) -> int:
        """Walk a step of every level of these queues; returns how many jobs were put."""
        if boottime() - self._began > _NET:
            self.restart()
        await self._look()
        cursors = await self._lane.cursors(view.epoch)
        spilled: defaultdict[str, dict[int, Cursor]] = defaultdict(dict)
        for (name, level), cursor in cursors.items():
            spilled[name][level] = cursor
        put = 0
        for queue in queues:
            if queue.paused:
                continue
            for level in self._waiting.get(queue.id, ()):
                put += await self._advance(view, queue, level, cursors.get((queue.name, level)))
            if queue.name in spilled:
                put += await self._refill(view, queue, spilled[queue.name])
        return put

    async def _look(self) -> None:
        """Find what is worth walking, in one statement: most levels of most queues are empty."""
        now = boottime()
        if now >= self._looks_at:
            self._waiting = await self._ledger.waiting_levels(self._horizon)
            self._looks_at = now + self._rest

    async def _advance(
        self, view: LaneView, queue: QueueRow, level: int, spilled: Cursor | None
    ) -> int:
        """A step from where the walk is, unless a cursor lies before it: that is the refill's."""
        key = (queue.name, level)
        here = self._reached.get(key, START)
        if boottime() < self._rests.get(key, 0.0) or (spilled is not None and spilled <= here):
            return 0
        began = boottime()
        entries = await self._ledger.walk(queue, level, here, view, self._horizon, STEP)
        stored = (await self._put(view, key, here, entries)).count(PutReply.STORED)
        if len(entries) < STEP:
            self._rests[key] = boottime() + self._rest
        elif not stored:
            self._rests[key] = boottime() + (boottime() - began) * _EASE
        return stored

    async def _refill(self, view: LaneView, queue: QueueRow, spilled: dict[int, Cursor]) -> int:
        depth = await self._lane.depth(view.epoch, queue.name)
        put = 0
        for level, cursor in spilled.items():
            room = self._cap - depth.ready.get(level, 0)
            if room >= min(STEP, self._cap / 2):
                put += await self._refill_level(view, queue, level, cursor, room)
        return put

    async def _refill_level(
        self, view: LaneView, queue: QueueRow, level: int, cursor: Cursor, room: int
    ) -> int:
        """Some steps beyond a cursor. What does not fit meanwhile lowers it again, by itself.

        A step is put before the cursor passes it, so that a put that fails leaves no gap, and the
        next one is read after, since the move forgets what spilled beyond. There may be room in the
        level and yet none for what is put (in a lane that is full, or of what is delayed): then
        another step would only send the same jobs again (test_walk.py has a test of each).
        """
        stored, n = 0, min(STEP, room)
        entries = await self._from(cursor, view, queue, level, n)
        for _ in range(_STEPS):
            beyond = _position(entries[-1]) if len(entries) == n else None
            replies = await self._put(view, (queue.name, level), _just_before(cursor), entries)
            moved = await self._lane.move_cursor(view.epoch, queue.name, level, cursor, beyond)
            n = min(STEP, room - stored - len(entries))
            stored += replies.count(PutReply.STORED)
            useless = PutReply.FULL in replies and PutReply.STORED not in replies
            if useless or n <= 0 or not moved.done or moved.cursor is None:
                break
            cursor = moved.cursor
            entries = await self._from(cursor, view, queue, level, n)
        return stored

    async def _from(
        self, cursor: Cursor, view: LaneView, queue: QueueRow, level: int, n: int
    ) -> list[LaneEntry]:
        return await self._ledger.walk(queue, level, _just_before(cursor), view, self._horizon, n)

    async def _put(
        self, view: LaneView, key: _Level, after: Cursor, entries: Sequence[LaneEntry]
    ) -> Sequence[PutReply]:
        """Put what comes after a position, which the walk has then passed if it was there."""
        if not entries:
            return []
        replies = await self._lane.put(view.epoch, entries)
        if self._reached.get(key, START) >= after:
            self._reached[key] = max(self._reached.get(key, START), _position(entries[-1]))
        return replies


def _just_before(cursor: Cursor) -> Cursor:
    """The job at a cursor did not fit; thousands may be due at its very microsecond."""
    return Cursor(cursor.run_at, UUID(int=max(cursor.id.int - 1, 0)))


def _position(entry: LaneEntry) -> Cursor:
    return Cursor(entry.run_at, entry.id)
