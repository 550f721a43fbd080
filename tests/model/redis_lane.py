"""The lane's scripts on one job, as pure functions: each is one atomic call to Redis."""

from collections.abc import Collection, Mapping

from model.values import Value

READY = 0


class Entry(Value, frozen=True):
    """One generation of the job in the lane: ready, or leased to a worker."""

    gen: int
    verify: bool
    holder: int = READY
    call: int = 0  # number of the take that leased it
    started: bool = False
    epoch: int = 0  # under which it was put
    condemned: bool = False  # listed as expired: it never becomes ready again

    def leased_as(self, gen: int, worker: int, call: int) -> bool:
        """Whether this very lease is there."""
        return (self.gen, self.holder, self.call) == (gen, worker, call)


class RedisLane(Value, frozen=True):
    """What the lane stores of the job."""

    known: int = 0  # the generation of the stored body, 0: none
    entries: tuple[Entry, ...] = ()
    tomb: bool = False  # an unflagged put is refused

    def put(self, gen: int, epoch: int, *, verify: bool) -> "RedisLane":
        """Store the job and make it ready, unless it is known already."""
        if self.known >= gen or (self.tomb and not verify):
            return self
        leased = tuple(entry for entry in self.entries if entry.holder != READY)
        return self._replace(known=gen, entries=(*leased, Entry(gen, verify, epoch=epoch)))

    def ready(self) -> Entry | None:
        """Return the entry that a take would give."""
        current = (e for e in self.entries if e.holder == READY and e.gen == self.known)
        return next(current, None)

    def flag(self, *, tomb: bool) -> "RedisLane":
        """Have whoever takes the job ask the ledger, and refuse a late unflagged put."""
        flagged = tuple(
            entry._replace(verify=True) if entry.holder == READY else entry
            for entry in self.entries
        )
        return self._replace(entries=flagged, tomb=self.tomb or (tomb and not self.known))

    def held(self) -> tuple[int, ...]:
        """Return the generations in some worker's hands."""
        return tuple(entry.gen for entry in self.entries if entry.holder != READY)

    def lease(self, entry: Entry, worker: int, call: int) -> "RedisLane":
        """Take: give an entry to a worker; it counts as started."""
        leased = entry._replace(holder=worker, call=call, started=True)
        return self._with(entry, leased)

    def pop(self, entry: Entry) -> "RedisLane":
        """Take without a lease, as a broken twin does."""
        return self._with(entry, None)

    def release(self, gen: int, worker: int, call: int, *, verify: bool) -> "RedisLane":
        """Make a leased entry ready again, if this very lease is there."""
        for entry in self.entries:
            if entry.leased_as(gen, worker, call) and not entry.condemned:
                free = Entry(gen, verify or entry.verify, epoch=entry.epoch)
                return self._with(entry, free if gen == self.known else None)
        return self

    def beat(
        self, worker: int, received: int, named: Collection[int], *, verify: bool
    ) -> "RedisLane":
        """Release what the worker was given up to call ``received`` and does not name."""
        lane = self
        for entry in self.entries:
            mine = entry.holder == worker and not entry.condemned
            if mine and entry.call <= received and entry.gen not in named:
                lane = lane.release(entry.gen, worker, entry.call, verify=verify)
        return lane

    def condemn(self, entry: Entry) -> "RedisLane":
        """Take the lease of a silent worker away for good: only its reaper ends the entry."""
        return self._with(entry, entry._replace(condemned=True))

    def ack(self, gen: int, worker: int, call: int, *, tomb: bool) -> "RedisLane":
        """Drop the worker's entry, if this very lease is there."""
        for entry in self.entries:
            if entry.leased_as(gen, worker, call):
                return self.drop(gen, tomb=tomb and entry.verify)
        return self

    def drop(self, gen: int, *, tomb: bool) -> "RedisLane":
        """Remove a generation, and the body unless a newer one came."""
        kept = tuple(entry for entry in self.entries if entry.gen > gen)
        older = tuple(entry for entry in self.entries if entry.gen < gen)
        known = self.known if self.known > gen else 0
        return RedisLane(known, older + kept, self.tomb or tomb)

    def reassert(self, gen: int, worker: int, call: int, epoch: int) -> "RedisLane":
        """Lease what a worker says it holds, after the lane lost data."""
        if self.known > gen:
            return self
        others = tuple(entry for entry in self.entries if entry.gen != gen)
        mine = Entry(gen, verify=True, holder=worker, call=call, started=True, epoch=epoch)
        return self._replace(known=gen, entries=(*others, mine))

    def renumbered(self, worker: int, ranks: Mapping[int, int]) -> "RedisLane":
        """Give the takes of a worker other numbers, in the same order."""
        entries = tuple(
            entry._replace(call=ranks[entry.call]) if entry.holder == worker else entry
            for entry in self.entries
        )
        return self._replace(entries=entries)

    def _with(self, entry: Entry, new: Entry | None) -> "RedisLane":
        index = self.entries.index(entry)
        kept = () if new is None else (new,)
        return self._replace(entries=self.entries[:index] + kept + self.entries[index + 1 :])
