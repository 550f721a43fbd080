"""What the workers of a memory lane hold, and until when."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from headrace.lanes.book import Book
from headrace.model.entry import LaneEntry, Lease
from headrace.model.job import Delivery, Token

Held = tuple[LaneEntry, int]
CONDEMNED = 2**31


@dataclass(slots=True)
class Worker:
    """A worker's lease, the number of its last take of each queue, and what it holds by id."""

    deadline: int = 0
    calls: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    held: dict[UUID, Held] = field(default_factory=dict)


class Hands:
    """The workers of a lane and their leases, each an entry and the call that gave it.

    A lease on an entry that the book no longer has is stale.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._workers: dict[UUID, Worker] = {}

    def alive(self, worker: UUID, now: int) -> Worker | None:
        """The worker, if its lease goes on."""
        me = self._workers.get(worker)
        return None if me is None or me.deadline <= now else me

    def prolong(self, worker: UUID, deadline: int) -> Worker:
        """Begin or prolong a worker's lease."""
        me = self._workers.setdefault(worker, Worker())
        me.deadline = deadline
        return me

    def excuse(self, since: int, gap: int) -> None:
        """Let a gap in looking count for nothing in every lease that was not over when it began."""
        for worker in self._workers.values():
            if worker.deadline > since:
                worker.deadline += gap

    def end(self, worker: UUID, now: int) -> None:
        """End a worker's lease; one that holds nothing is forgotten."""
        me = self._workers.get(worker)
        if me is not None and me.held:
            me.deadline = now
        else:
            self._workers.pop(worker, None)

    def owns(self, worker: UUID, one: Delivery) -> bool:
        """Whether a delivery is the worker's own."""
        held = self._named(worker, one)
        return held is not None and self._book.has(held[0])

    def all(self) -> dict[Token, str]:
        """The queue of every attempt that some worker holds, stale ones included."""
        held = [entry for me in self._workers.values() for entry, _ in me.held.values()]
        return {(entry.id, entry.gen): entry.queue for entry in held}

    def let_go(self, worker: UUID, one: Delivery) -> None:
        """Forget a delivery, stale or not."""
        if self._named(worker, one) is not None:
            del self._workers[worker].held[one.id]

    def given_by(self, me: Worker, queue: str, call: int) -> list[LaneEntry]:
        """What a worker still holds of a call."""
        given = [entry for entry, number in me.held.values() if number == call]
        return [entry for entry in given if entry.queue == queue and self._book.has(entry)]

    def unnamed(self, me: Worker, hand: Iterable[Delivery], answered: int) -> list[Held]:
        """What answered calls gave to a worker that does not name it."""
        names = {(*one.token, one.call) for one in hand}
        return [
            (entry, call)
            for entry, call in me.held.values()
            if call <= answered and (entry.id, entry.gen, call) not in names
        ]

    def lapsed(self, now: int) -> list[Lease]:
        """The leases of workers whose lease is over; those that hold nothing are forgotten."""
        leases: list[Lease] = []
        for worker, me in list(self._workers.items()):
            if me.deadline > now:
                continue
            held = [(entry, call) for entry, call in me.held.values() if self._book.has(entry)]
            leases += [Lease(worker, one.id, one.gen, call & ~CONDEMNED) for one, call in held]
            if not held:
                del self._workers[worker]
        return leases

    def condemn(self, leases: list[Lease]) -> list[Lease]:
        """Take these out of their workers' reach: a call gets a bit that no worker can name."""
        for lease in leases:
            held = self._workers[lease.worker].held
            held[lease.id] = (held[lease.id][0], lease.call | CONDEMNED)
        return leases

    def condemned(self, worker: UUID) -> bool:
        """Whether something that the worker holds is condemned."""
        me = self._workers.get(worker)
        held = () if me is None else me.held.values()
        return any(call & CONDEMNED and self._book.has(entry) for entry, call in held)

    def _named(self, worker: UUID, one: Delivery) -> Held | None:
        me = self._workers.get(worker)
        held = None if me is None else me.held.get(one.id)
        same = held is not None and (held[0].gen, held[1]) == (one.gen, one.call)
        return held if same else None
