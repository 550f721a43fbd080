"""The fast dispatch path, as engines and the relay know it."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from headrace.model.entry import (
    Capabilities,
    Cursor,
    Depth,
    Ended,
    LaneEntry,
    Lease,
    Moved,
    PutReply,
    Taken,
)
from headrace.model.job import Beat, Delivery, Token
from headrace.model.lane_view import Mark, Sighting

LEASE = 15.0
_BEATS = 3  # in a lease


def grace_of(lease: float) -> float:
    """Seconds after a switch until nobody can hold what the lane gave out before it (A1).

    A lease and a beat: whoever held an entry has re-asserted it or stopped.
    """
    return lease + lease / _BEATS


GRACE = grace_of(LEASE)


class Lane(Protocol):
    """Carries entries from the ledger to the workers; worth nothing by itself.

    Every verb is idempotent by (id, gen) and carries the epoch that the ledger is at. An entry is
    in one place: ready, delayed, or leased to a worker under the number of the take that gave it.
    Every entry that a take returns counts as started by it.

    All verbs with an epoch raise `WrongEpoch`, and do nothing, if the lane or the server behind it
    is at another one; all raise `LaneUnavailable` if it cannot be reached. After that error a call
    may have been executed: repeat it (an unflagged put flagged).
    """

    capabilities: Capabilities

    async def open(self) -> None:
        """Connect.

        Raises:
            LaneUnavailable: it cannot be reached, or it refused us.
            LaneUnsafe: its server may throw entries away.
        """

    async def close(self) -> None:
        """Disconnect."""

    def belong_to(self, ledger: UUID) -> None:
        """Carry for this ledger from now on: the lanes of two ledgers share nothing."""

    def stamp(self) -> int | None:
        """The lane's clock now, in milliseconds; never ahead of it. None if not known."""

    async def epoch(self) -> int | None:
        """The epoch the lane is at; None if it has none, or has lived through a restart."""

    async def seen(self) -> Sighting | None:
        """What the lane tells of itself; None if there is none."""

    async def probe(self) -> None:
        """Write something that means nothing.

        Raises:
            LaneUnavailable: the server is away, or takes no writes, as a replica does.
        """

    async def mark(self, epoch: int, mark: Mark) -> None:
        """Leave a mark of the ledger, unless one of a higher tide is there."""

    async def open_epoch(
        self, epoch: int, *, grace: float = GRACE, paused: Sequence[str] = ()
    ) -> None:
        """Empty the lane and begin an epoch, unmarked; nothing if it is at that one already.

        For `grace` seconds workers may `reassert` what they hold, and entries that are put without
        `clear` are not given out. Until a minute after, all is given out flagged.

        Raises:
            WrongEpoch: the lane is at a later epoch.
        """

    async def put(self, epoch: int, entries: Sequence[LaneEntry]) -> list[PutReply]:
        """Put entries; one reply each, in order. Wakes a worker that waits for their queue."""

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
        """Ack, then lease up to `n` due entries of a queue to a worker.

        A worker has one take a queue under way. A repeated `call` returns only what is still
        leased under it; one lower than the last of that queue gives nothing. So does a take of a
        worker without a live lease (its next `beat` begins one) and of a paused queue.
        """

    async def ripe(self, epoch: int, queues: Sequence[str]) -> set[str]:
        """Those of these queues that have something to give out now, and are not paused."""

    async def wait(self, worker: UUID, queues: Sequence[str], seconds: float) -> str | None:
        """Wait for something to take; returns the queue that has it, which must be taken from.

        None after so many seconds and after a `nudge`. Nothing that is put between an empty take
        and the wait is missed. Wait about a second at most, or less if a take told a `next_due`.
        """

    async def nudge(self, worker: UUID) -> None:
        """End the worker's wait, or the next one."""

    async def ack(self, epoch: int, worker: UUID, deliveries: Sequence[Delivery]) -> None:
        """Remove entries whose outcome the ledger has, or that it calls stale."""

    async def extend(
        self, epoch: int, worker: UUID, deliveries: Sequence[Delivery]
    ) -> set[tuple[UUID, int]]:
        """The tokens among these that are still the worker's own."""

    async def release(self, epoch: int, worker: UUID, deliveries: Sequence[Delivery]) -> None:
        """Give entries back that have not started, flagged, to the front of their level."""

    async def beat(self, epoch: int, worker: UUID, hand: Sequence[Delivery], answered: int) -> Beat:
        """Begin or prolong a worker's lease, and compare what it holds with the lane's books.

        What is leased to it under a call up to `answered` without being named goes back. It is
        refused (not alive) while something it holds was listed by `expired`.
        """

    async def leave(self, epoch: int, worker: UUID) -> None:
        """End a worker's lease; what it still holds has expired."""

    async def expired(self, epoch: int, n: int) -> list[Lease]:
        """Up to `n` leases of workers whose lease is over. They stay until put newer or dropped.

        What is listed is out of its worker's reach: no late beat, release or ack touches it.
        """

    async def flag(self, epoch: int, ids: Sequence[UUID]) -> set[Token]:
        """From now on these jobs are given out flagged, and unflagged puts of them come too late.

        Returns:
            The attempts at them that workers hold at this very moment, as in `leased`.
        """

    async def leased(self, epoch: int, ids: Sequence[UUID]) -> set[Token]:
        """The attempts at these jobs that workers hold, as (id, gen).

        Some may be over: until they are acked, or their worker learns by a beat that they are no
        longer its own. Whether one is the job's present attempt, the ledger says.
        """

    async def held(self, epoch: int, n: int) -> Mapping[Token, str]:
        """Up to `n` of all attempts that workers hold, each with its queue; else as `leased`."""

    async def drop(self, epoch: int, entries: Sequence[Ended]) -> None:
        """Remove entries, wherever they are; a holder learns of it by its next beat."""

    async def reassert(
        self, epoch: int, worker: UUID, hand: Sequence[Delivery]
    ) -> set[tuple[UUID, int]]:
        """Bring what a worker holds into a new epoch; returns the tokens that stay its own.

        Begins its lease, too. After the grace nothing new is accepted.
        """

    async def pause(self, epoch: int, queue: str) -> None:
        """Give nothing out of a queue."""

    async def resume(self, epoch: int, queue: str) -> None:
        """Undo `pause`."""

    async def paused(self, epoch: int) -> set[str]:
        """The queues that are paused here."""

    async def limit(self, epoch: int, caps: Mapping[str, int]) -> None:
        """Set how many entries a level of these queues may hold, instead of the lane's default."""

    async def depth(self, epoch: int, queue: str) -> Depth:
        """How much a queue has in the lane."""

    async def sound(self, epoch: int) -> bool:
        """Whether every entry has a place; if not, keys were lost and only a new epoch helps."""

    async def cursors(self, epoch: int) -> dict[tuple[str, int], Cursor]:
        """From where a queue's level has rows that the lane did not take; no entry if all fit."""

    async def move_cursor(
        self, epoch: int, queue: str, level: int, old: Cursor | None, new: Cursor | None
    ) -> Moved:
        """Set a cursor, if it is `old`. What did not fit meanwhile lowers the new one."""
