"""Reads a whole lane on Redis, without the bodies of its jobs."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from uuid import UUID

from headrace.lanes.redis import packing
from headrace.lanes.redis.calls import sliced
from headrace.lanes.redis.upkeep import Upkeep
from headrace.ports.census import Record

_head = Struct(">16s7sI")
_AT_ONCE = 500


class RedisCensus(Upkeep):
    """The census of a lane, beside the verbs of upkeep that a check needs."""

    def __init__(self, url: str, *, lease: float, timeout: float = 5.0) -> None:
        super().__init__(url, lease=lease, timeout=timeout)

    async def close(self) -> None:
        """Disconnect."""
        await self._links.close()

    async def records(self, epoch: int) -> list[Record]:
        """Every entry that is there from the beginning to the end of the call."""
        keys = [self._keys.meta, self._keys.jobs]
        found: dict[UUID, Record] = {}
        position = b"0"
        while True:
            position, heads = await self._run("census", epoch, keys, (position, _AT_ONCE))
            found.update((record.id, record) for record in _records(heads))
            if position == b"0":
                return list(found.values())

    async def present(self, epoch: int, ids: Sequence[UUID]) -> list[Record]:
        """The entries of these jobs, as they are now."""
        keys = [self._keys.meta, self._keys.jobs]
        found: list[Record] = []
        for some in sliced(ids):
            found += _records(await self._run("heads", epoch, keys, (packing.ids(some),)))
        return found

    async def places(self, queues: Iterable[str]) -> Counter[tuple[UUID, bytes]]:
        """How often each job and place is ready, delayed or leased."""
        k = self._keys
        tokens: Counter[bytes] = Counter()
        async with self._links.link() as link:
            known = [name.decode() for name in await link.call("SMEMBERS", k.queues)]
            every = {*queues, *known}
            # In the order in which entries move, so that none is missed.
            for queue in every:
                delayed = await link.call("ZRANGE", k.delayed(queue), 0, -1)
                tokens.update(member[4:27] for member in delayed)
            for key in (key for queue in every for key in k.ready(queue)):
                tokens.update(await link.call("LRANGE", key, 0, -1))
            for worker in await self._workers():
                leases = await link.call("HGETALL", k.held(worker))
                pairs = zip(leases[::2], leases[1::2], strict=True)
                tokens.update(job_id + lease[:7] for job_id, lease in pairs)
        return Counter({(UUID(bytes=one[:16]), one[16:]): n for one, n in tokens.items()})


def _records(heads: bytes) -> Iterator[Record]:
    for job_id, place, gen in _head.iter_unpack(heads):
        yield Record(UUID(bytes=job_id), gen, place)
