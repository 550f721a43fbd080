"""The durable record, as the engine knows it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol
from uuid import UUID

from headrace.model.job import Beat, Delivery, Inserted, Job, NewJob, Settlement, Token
from headrace.model.promise import NOTHING_SAID, Promise
from headrace.model.task import Declaration
from headrace.model.told import Telling
from headrace.ports.bell import Bell
from headrace.ports.bus import Bus
from headrace.ports.engine import Transaction
from headrace.ports.inspector import BlindInspector
from headrace.ports.lane_ledger import LaneLedger
from headrace.ports.limiter import Limiter
from headrace.ports.link_ledger import LinkLedger
from headrace.ports.streams import StreamStore
from headrace.ports.ticks import Ticks


class Pulse(NamedTuple):
    """A living worker.

    Attributes:
        beats: how many so far.
        lease: seconds that it may be silent; None where it is of a version that did not tell.
    """

    beats: int
    lease: float | None


class Ledger(Protocol):
    """Every verb is one statement. All raise `LedgerUnavailable` where PostgreSQL is away."""

    @property
    def lanes(self) -> LaneLedger:
        """What it does for the lane."""

    @property
    def links(self) -> LinkLedger:
        """What it does for jobs that wait for others."""

    @property
    def bell(self) -> Bell:
        """What tells idle workers of new jobs."""

    @property
    def streams(self) -> StreamStore:
        """What is kept for readers."""

    @property
    def bus(self) -> Bus:
        """What tells of jobs where there is no other bus."""

    @property
    def ticks(self) -> Ticks:
        """What it does for a scheduler."""

    @property
    def limiter(self) -> Limiter:
        """What keeps rate limits."""

    @property
    def inspector(self) -> BlindInspector:
        """What operators see and do, behind the back of any lane."""

    async def open(self) -> None:
        """Connect and check the schema."""

    async def close(self) -> None:
        """Disconnect."""

    def new_id(self) -> UUID:
        """A UUIDv7 on the ledger's clock."""

    async def declare(
        self,
        tasks: Sequence[Declaration],
        queues: Sequence[str],
        promises: Mapping[str, Promise] = NOTHING_SAID,
    ) -> None:
        """Make tasks, queues and what these promise known."""

    async def insert(
        self, jobs: Sequence[NewJob], *, pushed: bool = False, durable: bool = True
    ) -> list[Inserted]:
        """Insert and commit; where it need not be `durable`, the commit may not wait."""

    async def insert_in(self, tx: object, jobs: Sequence[NewJob]) -> list[Inserted]:
        """Insert in a transaction of the caller's."""

    async def once_committed(self, tx: object, tell: Callable[[], None]) -> None:
        """Let `tell` be called, on any thread, when the caller's transaction is committed.

        A hint, which not every `tx` can give, and which says nothing of its savepoints.
        """

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
        """Claim due jobs; `shares` are the passes and strides of the levels."""

    async def charge(self, worker: UUID, queue: str, call: int) -> None:
        """From now on what a call took ahead counts as started."""

    async def due(self, queues: Sequence[str], *, paused: bool = True) -> set[str]:
        """Those of these queues that have a job to run now; `paused` ones, too, or not."""

    async def settle(
        self, worker: UUID, settlements: Sequence[Settlement], *, durable: bool = True
    ) -> set[Token]:
        """Write outcomes; returns the accepted tokens. `durable` as in `insert`."""

    async def release(self, worker: UUID, attempts: Sequence[Delivery]) -> None:
        """Give back what was claimed and has not started."""

    async def extend(self, attempts: Sequence[Delivery]) -> set[UUID]:
        """The ids of the attempts that still count."""

    async def tell(self, tellings: Sequence[Telling]) -> None:
        """Keep what attempts tell that still count."""

    async def forfeit(self, worker: UUID, attempts: Sequence[Delivery], error: str) -> None:
        """Take jobs from a worker that cannot end them; each counts as cut short."""

    async def register(
        self, worker: UUID, host: str, pid: int, queues: Mapping[str, int], lease: float
    ) -> None:
        """Begin a worker's lease: it may be silent for so many seconds."""

    async def beat(
        self,
        worker: UUID,
        hand: Sequence[Delivery],
        answered: int,
        heeds: int | None = None,
        busy: int = 0,
    ) -> Beat:
        """Prolong a worker's lease; it `heeds` an epoch of the lane, and holds nothing earlier."""

    async def leave(self, worker: UUID, running: Sequence[Delivery]) -> None:
        """End a worker's lease; what it still runs counts as cut short."""

    def transaction(self, session: object) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that ends in a fenced completion."""

    async def get(self, ids: Sequence[UUID]) -> list[Job]:
        """Jobs as they are."""

    async def outcomes(self, ids: Sequence[UUID]) -> list[Job]:
        """Those that are over."""

    async def maintain(self) -> None:
        """One round of upkeep: partitions, retention, counters, expired keys."""

    async def watch(self) -> Mapping[UUID, Pulse]:
        """Every living worker."""

    async def judge(self, worker: UUID, beats: int) -> bool:
        """Void a worker silent since that beat."""

    async def reap(self, n: int) -> int:
        """Take jobs from voided workers and from those that left; returns how many."""
