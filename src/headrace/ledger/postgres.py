"""The ledger on PostgreSQL: one method a statement of sql/."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from operator import attrgetter
from uuid import UUID

import asyncpg

from headrace.errors import LedgerError, UsageError
from headrace.ledger import after_commit, foreign, ids
from headrace.ledger.bell import PostgresBell
from headrace.ledger.bus import PostgresBus
from headrace.ledger.cursor import Cursor
from headrace.ledger.faults import translated
from headrace.ledger.inspector import LedgerInspector
from headrace.ledger.known_queues import KnownQueues
from headrace.ledger.lane_ledger import PostgresLaneLedger
from headrace.ledger.limiter import LedgerLimiter
from headrace.ledger.link_ledger import PostgresLinkLedger
from headrace.ledger.migrate import newest
from headrace.ledger.queries import Queries
from headrace.ledger.retention import LedgerKeeper
from headrace.ledger.rows import (
    Row,
    as_beat,
    as_delivery,
    as_job,
    completion_columns,
    insert_columns,
    insert_document,
    settle_columns,
    task_columns,
)
from headrace.ledger.session import join_session
from headrace.ledger.streams import PostgresStreams
from headrace.ledger.ticks import PostgresTicks
from headrace.ledger.transaction import HandlerConnections
from headrace.model.job import Beat, Delivery, Inserted, Job, NewJob, Settlement, Token
from headrace.model.priority import LEVELS
from headrace.model.promise import NOTHING_SAID, Promise
from headrace.model.state import Stored
from headrace.model.task import Declaration
from headrace.model.told import Telling
from headrace.model.verdict import POISON, WORKER_LOST
from headrace.ports.bell import Bell
from headrace.ports.bus import Bus
from headrace.ports.engine import Transaction
from headrace.ports.lane_ledger import LaneLedger
from headrace.ports.ledger import Pulse
from headrace.ports.limiter import Limiter
from headrace.ports.link_ledger import LinkLedger
from headrace.ports.streams import StreamStore
from headrace.ports.ticks import Ticks


class PostgresLedger:
    """The durable record in one PostgreSQL database.

    Args:
        url: postgresql://user:password@host:port/database
        size: connections at most, besides those that hold the transactions of handlers.
        listens: keep one more for idle workers, to hear of new jobs.
        prepared: keep statements and settings in sessions, which is what hearing takes, too.
    """

    def __init__(
        self, url: str, *, size: int = 8, listens: bool = True, prepared: bool = True
    ) -> None:
        self._queries = Queries(url, size=size, prepared=prepared)
        self._keeper = LedgerKeeper(self._queries)
        self._lanes = PostgresLaneLedger(self._queries)
        self._links = PostgresLinkLedger(self._queries)
        self._inspector = LedgerInspector(self._queries)
        self._limiter = LedgerLimiter(self._queries)
        self._bell = PostgresBell(url, self._queries, listens=listens and prepared)
        self._bus = PostgresBus(url, self._queries, listens=listens and prepared)
        self._streams = PostgresStreams(self._queries, max(1, size // 2))
        self._ticks = PostgresTicks(self._queries, self._bell)
        self._handlers = HandlerConnections(url, self._links.tell, prepared=prepared)
        self._queues = KnownQueues(self._queries)
        self._cursors: dict[str, Cursor] = {}
        self._limited: set[str] = set()  # tasks and queues
        self._ids = ids.Ids()

    @property
    def lanes(self) -> LaneLedger:
        """What it does for the lane."""
        return self._lanes

    @property
    def ticks(self) -> Ticks:
        """What it does for a scheduler."""
        return self._ticks

    @property
    def limiter(self) -> Limiter:
        """What keeps rate limits."""
        return self._limiter

    @property
    def links(self) -> LinkLedger:
        """What it does for jobs that wait for others."""
        return self._links

    @property
    def inspector(self) -> LedgerInspector:
        """What operators see and do, behind the back of any lane."""
        return self._inspector

    @property
    def bell(self) -> Bell:
        """What tells idle workers of new jobs."""
        return self._bell

    @property
    def streams(self) -> StreamStore:
        """What is kept for readers."""
        return self._streams

    @property
    def bus(self) -> Bus:
        """What tells of jobs, by LISTEN and NOTIFY."""
        return self._bus

    async def open(self) -> None:
        """Connect, check the schema, learn the clock and the queues.

        Raises:
            LedgerUnavailable: PostgreSQL cannot be reached.
            SchemaError: the schema is missing, older than the code, or too new for it.
        """
        await self._queries.open()
        try:
            await self._learn()
        except BaseException:
            await self.close()
            raise

    async def _learn(self) -> None:
        await self._handlers.open()
        async with self._queries.connection() as connection:
            await self._ids.learn(connection)
        await self.declare((), ())

    async def close(self) -> None:
        """Close every connection."""
        await self._bell.close()
        await self._bus.close()
        await self._handlers.close()
        await self._queries.close()

    def new_id(self) -> UUID:
        """A UUIDv7 on the ledger's clock."""
        return self._ids.new()

    async def declare(
        self,
        tasks: Sequence[Declaration],
        queues: Sequence[str],
        promises: Mapping[str, Promise] = NOTHING_SAID,
    ) -> None:
        """Make queues, what they promise, and tasks known, and learn the ids of all queues."""
        await self._queues.declare({*queues, *promises, *(task.queue for task in tasks)})
        if promises:
            await self._queues.promise(promises)
        if tasks:
            await self._fetch("declare_tasks", *task_columns(tasks, self._queues.ids))

    async def insert(
        self, jobs: Sequence[NewJob], *, pushed: bool = False, durable: bool = True
    ) -> list[Inserted]:
        """Insert and commit, all or none. Repeating a call changes nothing.

        Args:
            jobs: what to insert.
            pushed: the caller will put them into the lane, those without run_at.
            durable: the commit waits for the disk, in any case where a queue is not loss-tolerant.

        Raises:
            UnknownQueue: a queue is unknown.
            UsageError: an id is over one hour off the ledger's clock.
        """
        await self._queues.require(job.queue for job in jobs)
        if any(job.may_wait for job in jobs) or self._known_as_limited(jobs):
            return await self._insert_documents(jobs)
        try:
            limited = await self._insert(jobs, pushed=pushed, durable=durable)
        except LedgerError as exc:
            if not isinstance(exc.__cause__, asyncpg.UniqueViolationError):
                raise
            missing = await self._missing(jobs)
            limited = await self._insert(missing, pushed=pushed, durable=durable)
        if limited:
            self._limited.update(limited)
            return await self._insert_documents(jobs)
        return [Inserted(job.id) for job in jobs]

    async def insert_in(self, tx: object, jobs: Sequence[NewJob]) -> list[Inserted]:
        """Insert in a transaction of the caller's: asyncpg, or a session of SQLAlchemy."""
        # A refusal by PostgreSQL itself would spoil the transaction.
        await self._queues.require(job.queue for job in jobs)
        with translated():
            return await foreign.insert_in(tx, insert_document(jobs))

    async def once_committed(self, tx: object, tell: Callable[[], None]) -> None:
        """Let `tell` be called after the caller's commit, if what `tx` is of knows of it."""
        await after_commit.once_committed(tx, tell)

    async def claim(
        self,
        worker: UUID,
        queue: str,
        call: int,
        n: int,
        shares: tuple[list[float], list[float]],
        *,
        ahead: bool = False,
    ) -> list[Delivery]:
        """Claim up to `n` due jobs of a queue, shared among the levels by stride scheduling."""
        await self._queues.require([queue])
        cursor = self._cursors.setdefault(queue, Cursor())
        moved = cursor.moved
        told = (self._queues.ids[queue], n, worker, call, list(LEVELS), *shares)
        rows = await self._fetch("claim", *told, *cursor.positions(), ahead)
        cursor.took(rows, n)
        if not rows and moved:
            rows = await self._fetch("claim", *told, *cursor.positions(), ahead)
            cursor.took(rows, n)
        return [as_delivery(row, queue, call) for row in rows]

    async def charge(self, worker: UUID, queue: str, call: int) -> None:
        """From now on what a call took ahead counts as started."""
        await self._fetch("charge", worker, queue, call)

    async def due(self, queues: Sequence[str], *, paused: bool = True) -> set[str]:
        """Those of these queues that have a job to run now, or one on its way by a lane."""
        await self._queues.require(queues)
        ids = sorted(self._queues.ids[queue] for queue in queues)
        return {row["name"] for row in await self._fetch("due", ids, paused)}

    async def settle(
        self, worker: UUID, settlements: Sequence[Settlement], *, durable: bool = True
    ) -> set[Token]:
        """Write outcomes, fenced; what this worker settled by an earlier sending counts too.

        Where it need not be `durable`, and all queues are loss-tolerant, the commit does not wait.
        """
        ordered = sorted(settlements, key=_by_id)
        completed = [one for one in ordered if one.state is Stored.COMPLETED]
        accepted: set[Token] = set()
        if completed:
            accepted |= await self._settle_completed(worker, completed, durable=durable)
        if len(completed) < len(ordered):
            others = [one for one in ordered if one.state is not Stored.COMPLETED]
            accepted |= await self._settle_others(worker, others, durable=durable)
        if len(accepted) < len(ordered):
            doubtful = [one for one in ordered if (one.id, one.gen) not in accepted]
            accepted |= await self._settled_before(worker, doubtful)
        return accepted

    async def _settle_completed(
        self, worker: UUID, batch: Sequence[Settlement], *, durable: bool
    ) -> set[Token]:
        """All of them, mostly; else none, since only how many were written is told."""
        rows = await self._fetch("settle_completed", worker, *completion_columns(batch), durable)
        self._links.tell(rows[0]["linked"])
        return {(one.id, one.gen) for one in batch} if rows[0]["count"] == len(batch) else set()

    async def _settle_others(
        self, worker: UUID, batch: Sequence[Settlement], *, durable: bool
    ) -> set[Token]:
        rows = await self._fetch("settle", worker, *settle_columns(batch), durable)
        self._links.tell([row["id"] for row in rows if row["linked"]])
        return _accepted(rows)

    async def _settled_before(self, worker: UUID, batch: Sequence[Settlement]) -> set[Token]:
        rows = await self._fetch(
            "settled_before", worker, [one.id for one in batch], [one.gen for one in batch]
        )
        return _accepted(rows)

    async def release(self, worker: UUID, attempts: Sequence[Delivery]) -> None:
        """Give back what was claimed and has not started; costs no attempt."""
        await self._fetch("release", worker, *_tokens(sorted(attempts, key=_by_id)))

    async def extend(self, attempts: Sequence[Delivery]) -> set[UUID]:
        """The ids of the attempts that still count."""
        return {row["id"] for row in await self._fetch("extend", *_tokens(attempts))}

    async def tell(self, tellings: Sequence[Telling]) -> None:
        """Keep what attempts tell that still count."""
        ordered = sorted(tellings, key=_by_id)
        columns = ([one.id for one in ordered], [one.gen for one in ordered])
        await self._fetch("tell", *columns, [one.more for one in ordered])

    async def forfeit(self, worker: UUID, attempts: Sequence[Delivery], error: str) -> None:
        """Take jobs from a worker that cannot end them; each counts as cut short."""
        await self._fetch("forfeit", worker, *_tokens(attempts), error)

    async def register(
        self, worker: UUID, host: str, pid: int, queues: Mapping[str, int], lease: float
    ) -> None:
        """Begin a worker's lease: it may be silent for so many seconds."""
        await self._fetch("register", worker, host, pid, json.dumps(queues), lease, newest())

    async def beat(
        self,
        worker: UUID,
        hand: Sequence[Delivery],
        answered: int,
        heeds: int | None = None,
        busy: int = 0,
    ) -> Beat:
        """Prolong a worker's lease; refused once it was reaped."""
        rows = await self._fetch("beat", worker, *_tokens(hand), answered, heeds, busy)
        return as_beat(rows)

    async def leave(self, worker: UUID, running: Sequence[Delivery]) -> None:
        """End a worker's lease; what it still runs counts as cut short."""
        await self._fetch("leave", worker, *_tokens(running))

    def transaction(self, session: object) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that ends in a fenced completion, on a connection of ours or a session."""
        if session is not None:
            return join_session(session, self._links.tell)
        return self._handlers.transaction()

    async def get(self, ids: Sequence[UUID]) -> list[Job]:
        """Jobs as they are; unknown ids are left out. One alone has its log lines."""
        return [as_job(row) for row in await self._fetch("get", list(ids), len(ids) == 1)]

    async def outcomes(self, ids: Sequence[UUID]) -> list[Job]:
        """The jobs among these that are over."""
        return [as_job(row) for row in await self._fetch("outcomes", list(ids))]

    async def watch(self) -> Mapping[UUID, Pulse]:
        """Every living worker."""
        return {row["id"]: Pulse(row["beats"], row["lease"]) for row in await self._fetch("watch")}

    async def judge(self, worker: UUID, beats: int) -> bool:
        """Void a worker that has been silent since that beat."""
        return bool(await self._fetch("judge", worker, beats))

    async def reap(self, n: int) -> int:
        """Take up to `n` jobs from voided workers; returns how many were taken."""
        return len(await self._fetch("reap", n, WORKER_LOST, POISON))

    async def maintain(self) -> None:
        """One round of upkeep: partitions, retention, counters, expired keys."""
        await self._keeper.maintain()

    def _known_as_limited(self, jobs: Sequence[NewJob]) -> bool:
        """Whether some may stand in line for seats, as far as this process knows by now."""
        limited = self._limited
        return bool(limited) and any(job.task in limited or job.queue in limited for job in jobs)

    async def _insert_documents(self, jobs: Sequence[NewJob]) -> list[Inserted]:
        inserted = foreign.in_order(await self._fetch("insert_docs", insert_document(jobs)))
        self._links.tell_of(inserted)
        return inserted

    async def _insert(
        self, jobs: Sequence[NewJob], *, pushed: bool, durable: bool
    ) -> Sequence[str] | None:
        """Insert all; or none, where limits keep some out: then the tasks and queues under one."""
        columns = insert_columns(jobs, self._queues.ids)
        rows = await self._fetch("insert", *columns, pushed, durable)
        limited: Sequence[str] | None = rows[0]["limited"]
        if limited is None and rows[0]["count"] < len(jobs):
            refused = await self._missing(jobs)
            raise UsageError(
                f"job id {refused[0].id} is over one hour off the clock of PostgreSQL; "
                "let headrace make the ids"
            )
        return limited

    async def _missing(self, jobs: Sequence[NewJob]) -> list[NewJob]:
        """Those that the ledger does not have: of a repeated call, none or all that are new."""
        rows = await self._fetch("missing", [job.id for job in jobs])
        missing = {row["id"] for row in rows}
        return [job for job in jobs if job.id in missing]

    async def _fetch(self, name: str, *parameters: object) -> Sequence[Row]:
        return await self._queries.fetch(name, *parameters)


def _accepted(rows: Sequence[Row]) -> set[Token]:
    return {(row["id"], row["gen"]) for row in rows}


def _tokens(attempts: Sequence[Delivery]) -> tuple[list[UUID], list[int]]:
    return [one.id for one in attempts], [one.gen for one in attempts]


# One order for all batches, so that two of them wait for each other and never deadlock.
_by_id = attrgetter("id.bytes")
