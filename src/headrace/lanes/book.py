"""Where a memory lane's entries are: ready by level, delayed, or in a worker's hands."""

import heapq
import itertools
from collections import defaultdict, deque
from uuid import UUID

from headrace.model.entry import Depth, LaneEntry
from headrace.model.priority import LEVELS, STRIDES, Shares


class Book:
    """The places of all entries.

    Every placing makes a new object, and `jobs` has the one that counts. An object found elsewhere
    that is not the one in `jobs` is stale: its entry was replaced, moved or dropped.
    """

    def __init__(self) -> None:
        self.jobs: dict[UUID, LaneEntry] = {}
        self._ready: defaultdict[str, dict[int, deque[LaneEntry]]] = defaultdict(
            lambda: {level: deque() for level in LEVELS}
        )
        self._delayed: defaultdict[str, list[tuple[int, int, LaneEntry]]] = defaultdict(list)
        self._shares: defaultdict[str, Shares] = defaultdict(Shares)
        self._count = itertools.count()

    def has(self, entry: LaneEntry) -> bool:
        """Whether this placing of the entry is the one that counts."""
        return self.jobs.get(entry.id) is entry

    def place(self, entry: LaneEntry, due: int | None) -> bool:
        """Make an entry ready, or delay it; True if a waiting worker should know."""
        self.jobs[entry.id] = entry
        if due is None:
            self._ready[entry.queue][entry.priority].append(entry)
            return True
        delayed = self._delayed[entry.queue]
        heapq.heappush(delayed, (due, next(self._count), entry))
        return delayed[0][0] >= due

    def give_back(self, entry: LaneEntry) -> None:
        """Make an entry ready at the front of its level."""
        self.jobs[entry.id] = entry
        self._ready[entry.queue][entry.priority].appendleft(entry)

    def ripen(self, queue: str, now: int) -> None:
        """Make ready what is due."""
        delayed = self._delayed[queue]
        while delayed and delayed[0][0] <= now:
            _, _, entry = heapq.heappop(delayed)
            self._ready[queue][entry.priority].append(entry)

    def take(self, queue: str, n: int) -> list[LaneEntry]:
        """Up to `n` ready entries, shared among the levels."""
        levels, shares = self._ready[queue], self._shares[queue]
        ahead = dict(zip(LEVELS, shares.passes(), strict=True))
        taken: list[LaneEntry] = []
        while len(taken) < n:
            for ready in levels.values():
                while ready and not self.has(ready[0]):
                    ready.popleft()
            tags = [(ahead[at] + STRIDES[at - 1], at) for at in LEVELS if levels[at]]
            if not tags:
                break
            tag, level = min(tags)
            ahead[level] = tag
            taken.append(levels[level].popleft())
        shares.took(entry.priority for entry in taken)
        return taken

    def waiting(self, queue: str) -> bool:
        """Whether anything is ready."""
        return any(self._ready[queue].values())

    def next_due(self, queue: str, now: int) -> float | None:
        """Seconds until something is due; None if nothing is known to come."""
        delayed = self._delayed[queue]
        return max(0, delayed[0][0] - now) / 1000 if delayed else None

    def depth(self, queue: str) -> Depth:
        """How many places a queue has."""
        ready = {level: len(places) for level, places in self._ready[queue].items()}
        return Depth(ready, len(self._delayed[queue]))
