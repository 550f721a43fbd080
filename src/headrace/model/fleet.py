"""The processes at work on the jobs of a ledger, as operators see them."""

from datetime import datetime
from uuid import UUID

import msgspec

from headrace.model.lane_view import LaneView


class WorkerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that lives, or was not yet taken for dead.

    Attributes:
        queues: what it serves.
        slots: how many jobs it may run at a time; None where it is of a version that did not tell.
        busy: slots at work at its last beat; None before the first one.
        silent: seconds since then, on the ledger's clock.
        lease: seconds that it may be silent; None as for slots.
    """

    id: UUID
    host: str
    pid: int
    queues: tuple[str, ...]
    slots: int | None
    busy: int | None
    started_at: datetime
    silent: float
    lease: float | None


class Leader(msgspec.Struct, frozen=True, kw_only=True):
    """The process that does what only one of many needs to do.

    Attributes:
        role: relay (fills the lane), reaper (looks for dead workers), keeper (tidies the tables);
            clock of the lane (counts the seconds for it, where nobody can reach it).
        host: None, and so is pid, where it is of a version that did not tell.
    """

    role: str
    host: str | None
    pid: int | None


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, and how the lane is."""

    lane: LaneView
    workers: tuple[WorkerSeen, ...]
    leaders: tuple[Leader, ...]
