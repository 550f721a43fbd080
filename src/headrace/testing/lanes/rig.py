"""A lane under test, its clock, and short words for its verbs."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID, uuid4

from headrace.model.entry import Body, Caps, LaneEntry, PutReply, Taken, pack_body
from headrace.model.job import Beat, Delivery
from headrace.ports.lane import Lane

EPOCH = 1
QUEUE = "mail"
CAPS = Caps(level=40, total=400)
LEASE = 15.0
BODY = pack_body(Body("send", b'{"to":"a"}', 1, 2, 5, "acme"))


def entry(  # noqa: PLR0913 - an entry has many fields
    *,
    id: UUID | None = None,  # noqa: A002 - named as the field
    gen: int = 1,
    queue: str = QUEUE,
    priority: int = 5,
    delay: float = 0.0,
    flagged: bool = True,
    stamp: int | None = None,
    awaited: bool = False,
    clear: bool = True,
    run_at: int = 0,
) -> LaneEntry:
    """An entry of a new job, if no id is given."""
    return LaneEntry(
        id=id or uuid4(),
        gen=gen,
        queue=queue,
        priority=priority,
        body=BODY,
        delay=delay,
        flagged=flagged,
        stamp=stamp,
        awaited=awaited,
        clear=clear,
        run_at=run_at,
    )


class Rig:
    """A lane at epoch `EPOCH`, without grace, made with `CAPS` and `LEASE`.

    Args:
        lane: open, and empty.
        pass_time: lets the lane's clock go on by so many seconds.
    """

    def __init__(self, lane: Lane, pass_time: Callable[[float], Awaitable[None]]) -> None:
        self.lane = lane
        self.pass_time = pass_time
        self.ann: UUID = uuid4()
        self.bob: UUID = uuid4()
        self._calls: dict[UUID, int] = {}

    async def begin(self) -> None:
        """Open the epoch, leave its time of suspicion behind, and let both workers beat."""
        await self.lane.open_epoch(EPOCH, grace=0)
        for _ in range(14):
            await self.pass_time(LEASE / 3 - 0.5)
            await self.lane.expired(EPOCH, 0)
        await self.beat_all()

    async def beat_all(self) -> None:
        """Prolong both workers' leases, whatever they hold."""
        for worker in (self.ann, self.bob):
            await self.beat(worker, answered=0)

    async def stamp(self) -> int:
        """The lane's clock now."""
        await self.beat_all()
        stamp = self.lane.stamp()
        assert stamp is not None
        return stamp

    async def put(self, *entries: LaneEntry, epoch: int = EPOCH) -> list[PutReply]:
        """Put entries."""
        return await self.lane.put(epoch, entries)

    async def fresh(self, *, queue: str = QUEUE) -> LaneEntry:
        """An entry that may go unflagged."""
        return entry(flagged=False, stamp=await self.stamp(), queue=queue)

    async def take(
        self,
        n: int = 10,
        *,
        worker: UUID | None = None,
        queue: str = QUEUE,
        acks: Sequence[Delivery] = (),
    ) -> list[Delivery]:
        """Take under the worker's next call; by `ann` if nobody is named."""
        return (await self.taken(n, worker=worker, queue=queue, acks=acks)).deliveries

    async def taken(
        self,
        n: int = 10,
        *,
        worker: UUID | None = None,
        queue: str = QUEUE,
        acks: Sequence[Delivery] = (),
    ) -> Taken:
        """The same, with what the lane knows of the next."""
        who = worker or self.ann
        call = self._calls[who] = self._calls.get(who, 0) + 1
        return await self.lane.take(EPOCH, who, queue, call, n, acks=acks)

    async def repeat(self, *, worker: UUID | None = None, by: int = 0) -> list[Delivery]:
        """Take again under the last call, or one `by` so many lower."""
        who = worker or self.ann
        return (await self.lane.take(EPOCH, who, QUEUE, self._calls[who] - by, 10)).deliveries

    async def beat(
        self, worker: UUID, hand: Sequence[Delivery] = (), answered: int | None = None
    ) -> Beat:
        """Beat, with every call answered if nothing else is said."""
        last = self._calls.get(worker, 0) if answered is None else answered
        return await self.lane.beat(EPOCH, worker, hand, last)

    async def ids(self, n: int = 500, *, worker: UUID | None = None) -> set[UUID]:
        """The ids of all that can be taken."""
        return {one.id for one in await self.take(n, worker=worker)}

    async def fall_silent(self, worker: UUID) -> None:
        """Let a worker's lease end while the other's goes on and the lane is watched."""
        other = self.bob if worker == self.ann else self.ann
        for _ in range(4):
            await self.pass_time(LEASE / 3 - 0.5)
            await self.beat(other, answered=0)
        await self.lane.expired(EPOCH, 0)
