"""The verbs of relay and operators: epochs, repair, pauses, cursors."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from headrace.errors import LaneUnavailable, WrongEpoch
from headrace.lanes.redis import packing
from headrace.lanes.redis.calls import Caller, in_this_life, sliced
from headrace.lanes.redis.connection import Argument
from headrace.lanes.redis.scripts import script
from headrace.model.entry import Cursor, Depth, Ended, Lease, Moved
from headrace.model.job import Token
from headrace.model.lane_view import Mark, Sighting
from headrace.model.priority import LEVELS
from headrace.ports.lane import GRACE

_LAPSED = 20  # workers looked into at once
_TRIES = 10


class Upkeep(Caller):
    """What keeps a lane in order; `ports/lane.py` says what each verb does."""

    async def epoch(self) -> int | None:
        """The epoch the lane is at."""
        seen = await self.seen()
        return seen.epoch if seen is not None and seen.living else None

    async def seen(self) -> Sighting | None:
        """What the lane tells of itself."""
        async with self._links.link() as link:
            epoch, mark = await link.call("HMGET", self._keys.meta, "epoch", "mark")
            if epoch is None:
                return None
            number, _, run_id = epoch.decode().partition(":")
            left = None if mark is None else read_mark(mark)
            return Sighting(int(number) if run_id else 0, run_id == link.server.run_id, left)

    async def probe(self) -> None:
        """Write something that means nothing: a deletion, which takes no memory."""
        async with self._links.link() as link:
            await link.call("DEL", self._keys.probe)

    async def mark(self, epoch: int, mark: Mark) -> None:
        """Leave a mark of the ledger, unless one of a higher tide is there."""
        await self._tell("mark", epoch, [self._keys.meta], (mark.tide, mark.name.hex))

    async def open_epoch(
        self, epoch: int, *, grace: float = GRACE, paused: Sequence[str] = ()
    ) -> None:
        """Empty the lane and begin an epoch."""
        keys = self._keys
        first = [keys.meta, keys.queues, keys.workers]
        async with self._links.link() as link:
            new = in_this_life(epoch, link)
            found = await link.run(script("close"), first, (new, epoch))
            if not found:
                return
            queues = [key for queue in found[0] for key in keys.of_queue(queue.decode())]
            workers = [key for worker in found[1] for key in keys.of_worker(worker)]
            everything = [*keys.of_lane(), *queues, *workers]
            settings: tuple[Argument, ...] = (new, round(grace * 1000), *paused)
            if not await link.run(script("open"), everything, settings):
                raise WrongEpoch(f"another epoch was opened while epoch {epoch} was; try again")

    async def expired(self, epoch: int, n: int) -> list[Lease]:
        """Up to `n` leases of workers whose lease is over."""
        k = self._keys
        lapsed = await self._run("lapsed", epoch, [k.meta, k.workers], (self._lease, _LAPSED))
        if not lapsed:
            return []
        held = [key for worker in lapsed for key in k.of_worker(worker)]
        keys = [k.meta, k.jobs, k.workers, *held]
        return [packing.lease(one) for one in await self._run("expired", epoch, keys, (n, *lapsed))]

    async def flag(self, epoch: int, ids: Sequence[UUID]) -> set[Token]:
        """Have whoever takes these jobs ask the ledger, whatever comes; returns who holds them."""
        held: set[Token] = set()
        for some in sliced(ids):
            held |= await self._flag(epoch, some)
        return held

    async def _flag(self, epoch: int, ids: Sequence[UUID]) -> set[Token]:
        k = self._keys
        for _ in range(_TRIES):
            workers = await self._workers()
            keys = [k.meta, k.jobs, k.tombs, k.workers, *(k.held(worker) for worker in workers)]
            args = (packing.ids(ids), b"".join(workers))
            leases = await self._run("flag", epoch, keys, args)
            if leases is not None:
                return packing.leases(leases)
        raise LaneUnavailable("workers come too fast to ask what they hold; try again")

    async def leased(self, epoch: int, ids: Sequence[UUID]) -> set[Token]:
        """The attempts at these jobs that workers hold."""
        keys = [self._keys.meta, *(self._keys.held(worker) for worker in await self._workers())]
        held: set[Token] = set()
        for some in sliced(ids):
            held |= packing.leases(await self._run("leased", epoch, keys, (packing.ids(some),)))
        return held

    async def held(self, epoch: int, n: int) -> dict[Token, str]:
        """Up to `n` attempts that workers hold, with their queue."""
        keys = [self._keys.meta, *(self._keys.held(worker) for worker in await self._workers())]
        return dict(map(packing.held, await self._run("held", epoch, keys, (n,))))

    async def _workers(self) -> list[bytes]:
        async with self._links.link() as link:
            workers: list[bytes] = await link.call("ZRANGE", self._keys.workers, 0, -1)
            return workers

    async def drop(self, epoch: int, entries: Sequence[Ended]) -> None:
        """Remove entries, wherever they are."""
        keys = [self._keys.meta, self._keys.jobs, self._keys.tombs]
        for some in sliced(entries):
            await self._tell("drop", epoch, keys, (packing.ended(some),))

    async def pause(self, epoch: int, queue: str) -> None:
        """Give nothing out of a queue."""
        await self._tell("pause", epoch, [self._keys.meta, self._keys.wake(queue)], (queue, 1))

    async def resume(self, epoch: int, queue: str) -> None:
        """Undo `pause`."""
        await self._tell("pause", epoch, [self._keys.meta, self._keys.wake(queue)], (queue, 0))

    async def paused(self, epoch: int) -> set[str]:
        """The queues that are paused here."""
        names = await self._run("paused", epoch, [self._keys.meta], ())
        return {name.decode() for name in names}

    async def limit(self, epoch: int, caps: Mapping[str, int]) -> None:
        """Set how many entries a level of these queues may hold."""
        args = [part for pair in caps.items() for part in pair]
        await self._tell("limit", epoch, [self._keys.meta], args)

    async def depth(self, epoch: int, queue: str) -> Depth:
        """How much a queue has in the lane."""
        keys = [self._keys.meta, self._keys.delayed(queue), *self._keys.ready(queue)]
        delayed, *ready = await self._run("depth", epoch, keys, ())
        return Depth(dict(zip(LEVELS, ready, strict=True)), delayed)

    async def sound(self, epoch: int) -> bool:
        """Whether every entry has a place."""
        k = self._keys
        sound = -1
        while sound == -1:
            async with self._links.link() as link:
                queues = [one.decode() for one in await link.call("SMEMBERS", k.queues)]
            workers = await self._workers()
            delayed = [k.delayed(queue) for queue in queues]
            ready = [key for queue in queues for key in k.ready(queue)]
            keys = [k.meta, k.jobs, k.queues, k.workers, *delayed, *ready]
            keys += [k.held(worker) for worker in workers]
            sound = await self._run("sound", epoch, keys, (len(delayed), len(ready), *workers))
        return bool(sound)

    async def cursors(self, epoch: int) -> dict[tuple[str, int], Cursor]:
        """From where a queue's level has rows that the lane did not take."""
        keys = [self._keys.meta, self._keys.cursors]
        fields = await self._run("cursors", epoch, keys, ())
        found: dict[tuple[str, int], Cursor] = {}
        for field, value in zip(fields[::2], fields[1::2], strict=True):
            if field.startswith(b"c"):
                level, _, queue = field[1:].decode().partition(":")
                found[queue, int(level)] = packing.read_cursor(value)
        return found

    async def move_cursor(
        self, epoch: int, queue: str, level: int, old: Cursor | None, new: Cursor | None
    ) -> Moved:
        """Set a cursor, if it is `old`."""
        keys = [self._keys.meta, self._keys.cursors]
        args = (f"{level}:{queue}", packing.cursor(old), packing.cursor(new))
        done, now = await self._run("move", epoch, keys, args)
        return Moved(bool(done), packing.read_cursor(now) if now else None)


def read_mark(left: bytes) -> Mark:
    """A mark as the lane keeps it."""
    tide, _, name = left.decode().partition(":")
    return Mark(int(tide), UUID(name))
