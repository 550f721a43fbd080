"""The lane on Redis or Valkey: each verb is one script, in chunks."""

from collections.abc import Sequence
from uuid import UUID

from headrace.lanes.redis import packing
from headrace.lanes.redis.calls import CHUNK, chunks, confirmed, sliced
from headrace.lanes.redis.connection import Link
from headrace.lanes.redis.faults import translated
from headrace.lanes.redis.upkeep import Upkeep
from headrace.model.entry import Capabilities, Caps, LaneEntry, PutReply, Taken, body_of
from headrace.model.job import Beat, Delivery
from headrace.ports.lane import LEASE

_WAIT_MARGIN = 2.0
_REPLIES = {reply.value: reply for reply in PutReply}
_ASKED = 100


class RedisLane(Upkeep):
    """A lane on a server of Redis 7 or Valkey 8 and later.

    Args:
        url: redis://, rediss:// or unix://.
        caps: how many entries it holds where `limit` sets nothing else.
        lease: seconds a worker may be silent; the same for all who use the lane.
        timeout: seconds for connecting and for each reply.
    """

    capabilities: Capabilities = Capabilities()

    def __init__(
        self,
        url: str,
        *,
        caps: Caps = Caps(),  # noqa: B008 - immutable
        lease: float = LEASE,
        timeout: float = 2.0,
    ) -> None:
        super().__init__(url, lease=lease, timeout=timeout)
        self._caps = caps
        self._waits: dict[UUID, Link] = {}

    async def open(self) -> None:
        """Connect."""
        async with self._links.link():
            pass

    async def close(self) -> None:
        """Disconnect."""
        for link in self._waits.values():
            await link.close()
        self._waits.clear()
        await self._links.close()

    async def put(self, epoch: int, entries: Sequence[LaneEntry]) -> list[PutReply]:
        """Put entries, one call a queue and chunk."""
        by_queue: dict[str, list[int]] = {}
        for at, entry in enumerate(entries):
            by_queue.setdefault(entry.queue, []).append(at)
        replies = [PutReply.STORED] * len(entries)
        for queue, places in by_queue.items():
            for chunk in chunks(places, [len(entries[at].body) for at in places]):
                letters = await self._put(epoch, queue, [entries[at] for at in chunk])
                for at, letter in zip(chunk, letters, strict=True):
                    replies[at] = _REPLIES[letter]
        return replies

    async def _put(self, epoch: int, queue: str, entries: Sequence[LaneEntry]) -> str:
        k = self._keys
        keys = [k.meta, k.jobs, k.tombs, k.cursors, k.queues]
        keys += [k.delayed(queue), k.wake(queue), *k.ready(queue)]
        args: list[bytes | str | int] = [queue, *self._caps, self._caps.floor]
        args.extend(packing.placed(entries))
        reply = await self._run("put", epoch, keys, args)
        self._saw(reply[0])
        return str(reply[1], "ascii")

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
        """Ack, then lease up to `n` due entries, at most 500."""
        *early, last = sliced(acks) or [()]
        for some in early:
            await self.ack(epoch, worker, some)
        k, me = self._keys, worker.bytes
        keys = [k.meta, k.jobs, k.tombs, k.workers, k.held(me), k.calls(me)]
        keys += [k.delayed(queue), k.wake(queue), *k.ready(queue)]
        many = min(n, CHUNK)
        args = (me, queue, call, many, packing.STRIDES_PACKED, packing.names(last))
        reply = await self._run("take", epoch, keys, args)
        self._saw(reply[0])
        next_due = None if reply[1] < 0 else reply[1] / 1000
        return Taken(packing.deliveries(reply, queue, call), next_due)

    async def ripe(self, epoch: int, queues: Sequence[str]) -> set[str]:
        """Those of these queues that have something to give out now, a hundred a call."""
        k = self._keys
        found: set[str] = set()
        for first in range(0, len(queues), _ASKED):
            some: list[str] = [*queues[first : first + _ASKED]]
            keys = [k.meta]
            for queue in some:
                keys += [k.delayed(queue), *k.ready(queue)]
            places = await self._run("ripe", epoch, keys, some)
            found.update(some[place - 1] for place in places)
        return found

    async def wait(self, worker: UUID, queues: Sequence[str], seconds: float) -> str | None:
        """Wait on a connection of the worker's own."""
        keys = [*(self._keys.wake(queue) for queue in queues), self._keys.nudge(worker)]
        link = self._waits.pop(worker, None) or await self._links.connect()
        try:
            with translated(self._links.name):
                # A timeout of 0 would mean for ever.
                patience = max(seconds, 0.001)
                reply = await link.call("BLPOP", *keys, patience, within=patience + _WAIT_MARGIN)
        except BaseException:
            await link.close()
            raise
        self._waits[worker] = link
        woken = None if reply is None else keys.index(reply[0])
        return None if woken is None or woken == len(queues) else queues[woken]

    async def nudge(self, worker: UUID) -> None:
        """End the worker's wait, or the next one."""
        key = self._keys.nudge(worker)
        async with self._links.link() as link:
            await link.call("RPUSH", key, "1")
            await link.call("LTRIM", key, 0, 0)
            await link.call("PEXPIRE", key, self._lease)

    async def ack(self, epoch: int, worker: UUID, deliveries: Sequence[Delivery]) -> None:
        """Remove entries whose outcome the ledger has."""
        k = self._keys
        keys = [k.meta, k.jobs, k.held(worker.bytes), k.tombs]
        for some in sliced(deliveries):
            await self._tell("ack", epoch, keys, (packing.names(some),))

    async def extend(
        self, epoch: int, worker: UUID, deliveries: Sequence[Delivery]
    ) -> set[tuple[UUID, int]]:
        """The tokens among these that are still the worker's own."""
        keys = [self._keys.meta, self._keys.jobs, self._keys.held(worker.bytes)]
        own: set[tuple[UUID, int]] = set()
        for some in sliced(deliveries):
            answers = await self._run("extend", epoch, keys, (packing.names(some),))
            own.update(confirmed(some, answers))
        return own

    async def release(self, epoch: int, worker: UUID, deliveries: Sequence[Delivery]) -> None:
        """Give entries back that have not started."""
        by_queue: dict[str, list[Delivery]] = {}
        for one in deliveries:
            by_queue.setdefault(one.queue, []).append(one)
        for queue, ours in by_queue.items():
            # The last come first, for each chunk goes to the front.
            for some in reversed(sliced(ours)):
                await self._release(epoch, worker, queue, packing.names(some))

    async def _release(self, epoch: int, worker: UUID, queue: str, names: bytes) -> None:
        k = self._keys
        keys = [k.meta, k.jobs, k.held(worker.bytes), k.wake(queue), *k.ready(queue)]
        places = packing.places(len(names) // 24)
        await self._tell("release", epoch, keys, (queue, names, places))

    async def beat(self, epoch: int, worker: UUID, hand: Sequence[Delivery], answered: int) -> Beat:
        """Begin or prolong a worker's lease."""
        k, me = self._keys, worker.bytes
        keys = [k.meta, k.jobs, k.workers, k.held(me)]
        args = (me, self._lease, answered, packing.names(hand))
        reply = await self._run("beat", epoch, keys, args)
        self._saw(reply[0])
        if len(reply) == 1:
            return Beat(alive=False)
        orphans: dict[str, list[bytes]] = {}
        for packed in reply[2:]:
            queue, name = packing.orphan(packed)
            orphans.setdefault(queue, []).append(name)
        for queue, names in orphans.items():
            for some in reversed(sliced(names)):
                await self._release(epoch, worker, queue, b"".join(some))
        return Beat(alive=True, lost=packing.tokens(reply[1]))

    async def leave(self, epoch: int, worker: UUID) -> None:
        """End a worker's lease."""
        k = self._keys
        keys = [k.meta, k.workers, *k.of_worker(worker.bytes)]
        await self._tell("leave", epoch, keys, (worker.bytes,))

    async def reassert(
        self, epoch: int, worker: UUID, hand: Sequence[Delivery]
    ) -> set[tuple[UUID, int]]:
        """Bring what a worker holds into a new epoch."""
        k, me = self._keys, worker.bytes
        keys = [k.meta, k.jobs, k.workers, k.held(me), k.queues]
        own: set[tuple[UUID, int]] = set()
        for chunk in chunks(hand, [len(one.payload) for one in hand]) or [[]]:
            args: list[bytes | str | int] = [me, self._lease]
            for one in chunk:
                args += [packing.reasserted(one), one.queue, body_of(one)]
            reply = await self._run("reassert", epoch, keys, args)
            self._saw(reply[0])
            own.update(confirmed(chunk, reply[1]))
        return own
