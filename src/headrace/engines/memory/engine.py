"""The engine that keeps its jobs in memory: what tests of applications use instead of servers."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from uuid import UUID

from headrace.bus.herald import MemoryHerald
from headrace.bus.memory import MemoryBus
from headrace.engines.memory.book import Book, Lease, Queue
from headrace.engines.memory.inspector import MemoryInspector
from headrace.engines.memory.unlimited import NoLimits
from headrace.engines.memory.unlinked import NoLinks, refuse_flows
from headrace.engines.streams import TellingStreams
from headrace.errors import ConfigError, UsageError
from headrace.model.entry import Taken
from headrace.model.job import Beat, Delivery, Ending, Inserted, Job, NewJob, Settlement
from headrace.model.lane_view import LaneView
from headrace.model.promise import NOTHING_SAID, Promise, declared_otherwise
from headrace.model.state import Stored
from headrace.model.task import Declaration
from headrace.model.told import Telling, told_with
from headrace.model.verdict import BLOCKED
from headrace.ports.engine import Transaction


class MemoryEngine:
    """Jobs in a `Book`, which engines of several event loops may share.

    Limits of rate and concurrency and ordering keys hold nothing up, schedules do not tick, and
    flows are refused. It has no database: a job that is inserted with `tx` is there at once,
    whatever becomes of the transaction, and handlers have no `ctx.transaction()`.

    Attributes:
        book: all that there is.
    """

    def __init__(self, book: Book) -> None:
        self.book = book
        self.inspector: MemoryInspector = MemoryInspector(book)
        self.limiter: NoLimits = self.inspector.limiter
        self.links: NoLinks = NoLinks()
        self.bus: MemoryBus = book.bus
        self.herald: MemoryHerald = MemoryHerald(book.bus, book.new_id)
        self.streams: TellingStreams = TellingStreams(book.streams, self.herald, _at_once)

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to disconnect."""

    async def declare(
        self,
        tasks: Sequence[Declaration],
        queues: Sequence[str] = (),
        promises: Mapping[str, Promise] = NOTHING_SAID,
    ) -> None:
        """Make tasks, queues and what these promise known.

        Raises:
            ConfigError: a queue promises something else.
        """
        with self.book.lock:
            self.book.tasks.update({task.name: task for task in tasks})
            for name in (*queues, *promises, *(task.queue for task in tasks)):
                self.book.queues.setdefault(name, Queue())
            for name, ours in promises.items():
                queue = self.book.queues[name]
                if queue.promise not in (None, ours):
                    raise ConfigError(declared_otherwise(name, str(queue.promise), ours))
                queue.promise = ours

    def new_id(self) -> UUID:
        """An id for a job, ordered by time."""
        return self.book.new_id()

    async def insert(self, jobs: Sequence[NewJob], tx: object = None) -> list[Inserted]:  # noqa: ARG002 - as the class says
        """Insert jobs, all or none."""
        refuse_flows(jobs)
        with self.book.lock:
            inserted = self.book.insert(jobs)
        if self.herald.open:
            pairs = zip(jobs, inserted, strict=True)
            self.herald.enqueued([job for job, one in pairs if not one.duplicate])
        return inserted

    async def register(
        self, worker: UUID, host: str, pid: int, queues: Mapping[str, int], lease: float
    ) -> None:
        """Begin a worker's lease."""
        with self.book.lock:
            self.book.workers.setdefault(worker, Lease(host, pid, dict(queues), lease))

    async def take(
        self, worker: UUID, queue: str, call: int, n: int, *, ahead: bool = False
    ) -> Taken:
        """Up to `n` due jobs for a worker."""
        with self.book.lock:
            taken = self.book.take(worker, queue, call, n)
            if ahead and taken:
                self.book.workers[worker].ahead[queue] = call
            return Taken(taken)

    async def charge(self, worker: UUID, queue: str, call: int) -> None:
        """From now on what a call took ahead counts as started."""
        with self.book.lock:
            ahead = self.book.workers[worker].ahead
            if ahead.get(queue) == call:
                del ahead[queue]

    async def due(self, queues: Sequence[str]) -> bool:
        """Whether a job of these queues waits to run now."""
        return bool(await self.ripe(queues))

    async def ripe(self, queues: Sequence[str]) -> set[str]:
        """Those of these queues from which a take would give something now."""
        with self.book.lock:
            return {row.new.queue for row in self.book.ripe(queues)}

    async def wait(self, worker: UUID, queues: Sequence[str], seconds: float) -> str | None:  # noqa: ARG002 - as in the port
        """Nothing tells of new jobs."""
        return None

    async def nudge(self, worker: UUID) -> None:
        """Nobody waits."""

    def heed(self, view: LaneView | None) -> None:
        """There is no lane."""

    async def settle(self, worker: UUID, endings: Sequence[Ending]) -> set[tuple[UUID, int]]:
        """Write outcomes, fenced by (id, gen); returns the tokens that were accepted."""
        with self.book.lock:
            done = {one.delivery.token for one in endings if self.write(worker, one.settlement)}
        if self.herald.open:
            self.herald.ended(endings, done)
        return done

    def write(self, worker: UUID, settlement: Settlement) -> bool:
        """Write one outcome; whether it is accepted."""
        row = self.book.rows.get(settlement.id)
        if row is None:
            return False
        before = row.gen if row.live else None
        accepted = row.settle(worker, settlement, self.book.clock.now())
        if accepted and before == settlement.gen and row.state is not Stored.COMPLETED:
            kind, error = _kind_of(settlement), settlement.error
            self.book.note(row, kind, f"worker:{worker}", settlement.gen, error=error)
        return accepted

    def settled(self, worker: UUID, delivery: Delivery) -> None:
        """There is no lane to be told."""

    async def release(self, worker: UUID, deliveries: Sequence[Delivery]) -> None:
        """Give back jobs that have not started; costs no attempt."""
        with self.book.lock:
            for one in deliveries:
                if (row := self.book.own(worker, one)) is not None:
                    row.take_back()

    async def extend(self, deliveries: Sequence[Delivery]) -> set[UUID]:
        """The ids among these that are still the worker's own."""
        with self.book.lock:
            rows = self.book.rows
            return {
                one.id
                for one in deliveries
                if one.id in rows and rows[one.id].live and rows[one.id].token == one.token
            }

    async def tell(self, tellings: Sequence[Telling]) -> None:
        """Keep what running attempts tell; that of a stale one is not kept."""
        with self.book.lock:
            for one in tellings:
                row = self.book.rows.get(one.id)
                if row is not None and row.live and row.gen == one.gen:
                    row.told = told_with(row.told, one.more, self.book.clock.now())

    async def forfeit(self, worker: UUID, delivery: Delivery) -> bool:
        """Give up a job that its worker cannot end: the run counts as cut short."""
        with self.book.lock:
            row = self.book.own(worker, delivery)
            if row is not None:
                row.cut_short(self.book.clock.now(), BLOCKED)
                self.book.note(row, "dead" if row.over else "crash", "reaper")
        return not await self.extend([delivery])

    async def beat(
        self,
        worker: UUID,
        hand: Sequence[Delivery],
        answered: int,
        heeds: int | None = None,  # noqa: ARG002 - as in the port
        busy: int = 0,
    ) -> Beat:
        """Compare what the worker holds with what it is known to hold."""
        with self.book.lock:
            lease = self.book.workers.get(worker)
            if lease is None or lease.void:
                return Beat(alive=False)
            lease.busy = busy
            held = {one.token for one in hand}
            for row in self.book.rows.values():
                mine = row.live and row.owner == worker and row.call <= answered
                if mine and row.token not in held:
                    row.take_back()
            own = await self.extend(hand)
            wishes = self.book.wishes
            return Beat(
                alive=True,
                lost=frozenset(one.token for one in hand if one.id not in own),
                cancellations=tuple(wishes[one.id] for one in hand if one.id in wishes),
            )

    async def leave(self, worker: UUID, running: Sequence[Delivery]) -> None:
        """End a worker's lease."""
        with self.book.lock:
            lease = self.book.workers[worker]
            if not lease.void:
                lease.left_with = dict(one.token for one in running)
                self.book.bury(worker)

    def transaction(self, session: object) -> AbstractAsyncContextManager[Transaction]:
        """Refused: there is no database.

        Raises:
            UsageError: always.
        """
        del session
        raise UsageError(
            "ctx.transaction() needs a database, and these jobs are kept in memory; "
            "test this task with headrace_real"
        )

    async def outcomes(self, ids: Sequence[UUID]) -> list[Job]:
        """The jobs among these that are over."""
        return [job for job in await self.get(ids) if job.state.final]

    async def get(self, ids: Sequence[UUID]) -> list[Job]:
        """Jobs as they are now, in no order; unknown ids are left out."""
        return await self.inspector.get_many(ids)


def _kind_of(settlement: Settlement) -> str:
    if settlement.state is Stored.DEAD:
        return "dead"
    if settlement.state is Stored.CANCELLED:
        return "cancelled"
    return "retry" if settlement.failed else "snooze"


async def _at_once(_tx: object, tell: Callable[[], None]) -> None:
    """There is no transaction to wait for."""
    tell()
