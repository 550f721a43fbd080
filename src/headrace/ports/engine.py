"""What the application and the worker know of storage."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from uuid import UUID

from headrace.model.entry import Taken
from headrace.model.job import Beat, Delivery, Ending, Inserted, Job, NewJob, Settlement
from headrace.model.lane_view import LaneView
from headrace.model.promise import NOTHING_SAID, Promise
from headrace.model.task import Declaration
from headrace.model.told import Telling
from headrace.ports.bus import Bus
from headrace.ports.herald import Herald
from headrace.ports.inspector import Inspector
from headrace.ports.limiter import Limiter
from headrace.ports.link_ledger import Relations
from headrace.ports.streams import StreamStore


class Engine(Protocol):
    """Where jobs are kept and handed out. One engine belongs to one running event loop."""

    @property
    def inspector(self) -> Inspector:
        """What operators see and do with its jobs."""

    @property
    def limiter(self) -> Limiter:
        """What keeps rate limits.

        What it puts off has left the worker's hands in the ledger: tell `settled` of it.
        """

    @property
    def links(self) -> Relations:
        """What jobs know of those that they wait for, and that wait for them."""

    @property
    def bus(self) -> Bus:
        """What carries messages between processes."""

    @property
    def streams(self) -> StreamStore:
        """What is kept for readers, who hear of it on the bus."""

    @property
    def herald(self) -> Herald:
        """Who tells of what happens to its jobs, on the bus.

        The engine itself tells of what it inserts and settles.
        """

    async def start(self) -> None:
        """Connect.

        Raises:
            LedgerUnavailable: it cannot be reached.
            SchemaError: the schema is missing, older than the code, or too new for it.
        """

    async def stop(self) -> None:
        """Disconnect; nothing may be in flight."""

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

    def new_id(self) -> UUID:
        """An id for a job, ordered by time on the ledger's clock."""

    async def insert(self, jobs: Sequence[NewJob], tx: object = None) -> list[Inserted]:
        """Insert jobs: committed when it returns, or in the caller's transaction `tx`.

        Returns:
            One entry a job, in order.

        Raises:
            UnknownQueue: nothing was inserted.
            LedgerUnavailable: nothing was inserted, as far as can be known.
        """

    async def register(
        self, worker: UUID, host: str, pid: int, queues: Mapping[str, int], lease: float
    ) -> None:
        """Begin a worker's lease: it may be silent for so many seconds.

        `queues` has the slots of each queue that it serves.

        From its return on the engine goes by how the lane was after that, or later.
        """

    async def take(
        self, worker: UUID, queue: str, call: int, n: int, *, ahead: bool = False
    ) -> Taken:
        """Up to `n` due jobs for a worker; each counts as started from then on.

        Taken `ahead` of free slots they do not, until the call is charged: none may start before,
        and nothing more is taken ahead from that queue.

        `call` numbers the worker's takes; it comes back in the deliveries.
        """

    async def charge(self, worker: UUID, queue: str, call: int) -> None:
        """From now on what a call took ahead counts as started: a death costs it an attempt.

        To repeat it changes nothing.
        """

    async def due(self, queues: Sequence[str]) -> bool:
        """Whether a job of these queues waits to run now."""

    async def ripe(self, queues: Sequence[str]) -> set[str]:
        """Those of these queues from which a take would give something now: one question for all.

        A take of them may come too late all the same, and of the others in time.
        """

    async def wait(self, worker: UUID, queues: Sequence[str], seconds: float) -> str | None:
        """Wait for something to take; returns the queue that has it, if one is known to.

        Returns at once, None, where nothing tells of new jobs: then takes have to be repeated.
        """

    async def nudge(self, worker: UUID) -> None:
        """End a wait of the worker."""

    def heed(self, view: LaneView | None) -> None:
        """Go by this view of the lane, if there is one, newer than the one gone by."""

    async def settle(self, worker: UUID, endings: Sequence[Ending]) -> set[tuple[UUID, int]]:
        """Write outcomes, fenced by (id, gen); returns the tokens that were accepted."""

    def settled(self, worker: UUID, delivery: Delivery) -> None:
        """Tell that a delivery was settled in a transaction of its handler."""

    async def release(self, worker: UUID, deliveries: Sequence[Delivery]) -> None:
        """Give back jobs that have not started; costs no attempt."""

    async def extend(self, deliveries: Sequence[Delivery]) -> set[UUID]:
        """The ids among these that are still the worker's own, so may go on."""

    async def tell(self, tellings: Sequence[Telling]) -> None:
        """Keep what running attempts tell, in order; that of a stale one is not kept."""

    async def forfeit(self, worker: UUID, delivery: Delivery) -> bool:
        """Give up a job whose handler blocks everything else of its worker and cannot be ended.

        Another runs it under a new generation, and this run counts as cut short. To repeat it
        changes nothing.

        Returns:
            Whether the job is the worker's own no longer; if not, somebody has it locked.
        """

    async def beat(
        self,
        worker: UUID,
        hand: Sequence[Delivery],
        answered: int,
        heeds: int | None = None,
        busy: int = 0,
    ) -> Beat:
        """Prolong the worker's lease, and compare what it holds with what it is known to hold.

        Args:
            worker: who beats.
            hand: all that it holds.
            answered: the last call number up to which every take was answered or given up.
            heeds: the epoch of the lane that it goes by: the hand holds all that it was given under
                earlier ones, and nothing more of them will be booked.
            busy: how many jobs it runs.
        """

    async def leave(self, worker: UUID, running: Sequence[Delivery]) -> None:
        """End a worker's lease.

        What it still runs counts as cut short; what else it was given, and may not know of since
        a reply was lost, goes back without blame.
        """

    def transaction(self, session: object) -> AbstractAsyncContextManager["Transaction"]:
        """A transaction in which a handler's writes and its completion commit together.

        Args:
            session: an AsyncSession of SQLAlchemy to join, or None for a connection of ours.
        """

    async def outcomes(self, ids: Sequence[UUID]) -> list[Job]:
        """The jobs among these that are over."""

    async def get(self, ids: Sequence[UUID]) -> list[Job]:
        """Jobs as they are now, in no order; unknown ids are left out.

        One that is asked for alone has its log lines.
        """


class Transaction(Protocol):
    """An open transaction of the ledger. Closing it without `commit` rolls it back."""

    @property
    def handle(self) -> Any:  # noqa: ANN401 - the driver's own, for the handler's SQL
        """The connection or session that the handler works with."""

    def block(self) -> AbstractAsyncContextManager[object]:
        """A part of the transaction that is undone alone when it raises."""

    async def commit(self, worker: UUID, settlement: Settlement) -> bool:
        """Settle and commit as one; False, and rolled back, if the attempt is stale."""
