"""What a lane carries: entries, the replies about them, and how a delivery's fields are packed."""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple
from uuid import UUID

import msgspec

from headrace.model.job import Delivery, Headers


class Body(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The fields of a delivery that a lane carries without looking at them.

    It travels as `pack_body(body)`.
    """

    task: str
    payload: bytes
    failures: int
    crashes: int
    max_attempts: int
    tenant: str
    rerun_on_crash: bool = False
    headers: Headers | None = None


pack_body: Callable[[object], bytes] = msgspec.msgpack.Encoder().encode
_unpack_body = msgspec.msgpack.Decoder(Body).decode


def body_of(delivery: Delivery) -> bytes:
    """The packed body of the entry that a delivery came from."""
    return pack_body(
        Body(
            delivery.task,
            delivery.payload,
            delivery.failures,
            delivery.crashes,
            delivery.max_attempts,
            delivery.tenant,
            delivery.rerun_on_crash,
            delivery.headers,
        )
    )


class LaneEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A live job on its way to a worker.

    Attributes:
        body: a packed `Body`.
        delay: seconds until it is due; 0 is now.
        flagged: the ledger must be asked before it runs (protocol rule R4).
        stamp: `Lane.stamp()` read before the COMMIT was sent. An unflagged entry whose stamp is
            missing or not within the last two seconds is flagged.
        awaited: read by the relay while its producer may still push it unflagged; the end of such
            an entry leaves a tombstone (protocol A9).
        clear: surely in nobody's hands since an earlier epoch, so it need not wait for the grace.
        run_at: microseconds since 1970 on the ledger's clock, or a little less: where the refill
            must look for it, should it not fit.
    """

    id: UUID
    gen: int
    queue: str
    priority: int
    body: bytes
    delay: float = 0.0
    flagged: bool = True
    stamp: int | None = None
    awaited: bool = False
    clear: bool = False
    run_at: int = 0


def delivery_of(
    token: tuple[UUID, int],
    queue: str,
    priority: int,
    body: bytes,
    call: int,
    flagged: bool,  # noqa: FBT001 - see above
) -> Delivery:
    """An entry in a worker's hands."""
    fields = _unpack_body(body)
    return Delivery(
        id=token[0],
        gen=token[1],
        queue=queue,
        task=fields.task,
        payload=fields.payload,
        priority=priority,
        failures=fields.failures,
        crashes=fields.crashes,
        max_attempts=fields.max_attempts,
        call=call,
        flagged=flagged,
        owned=False,
        tenant=fields.tenant,
        rerun_on_crash=fields.rerun_on_crash,
        headers=fields.headers,
    )


class PutReply(Enum):
    """What became of an entry.

    STORED: it is in the lane. KNOWN: the same generation or a newer one is there already. FULL: it
    does not fit; the refill's cursor was lowered to it, and an older generation of it removed.
    REFUSED: its job was seen to end, so an unflagged push of it comes too late.
    """

    STORED = "S"
    KNOWN = "K"
    FULL = "F"
    REFUSED = "R"


class Ended(NamedTuple):
    """An entry to drop: any generation up to `gen`.

    Attributes:
        awaited: its producer may still push it unflagged, so a tombstone is left.
    """

    id: UUID
    gen: int
    awaited: bool = False


class Taken(NamedTuple):
    """What a take gave.

    Attributes:
        next_due: seconds until a take could give more: 0 if the queue has more, None if nothing
            is known to come. Told only if fewer than asked for were given.
        epoch: the lane's, where a lane gave; the ledger knows what it gave by its owner.
    """

    deliveries: list[Delivery]
    next_due: float | None = None
    epoch: int | None = None


class Lease(NamedTuple):
    """An entry in the hands of a worker whose lease is over."""

    worker: UUID
    id: UUID
    gen: int
    call: int


class Depth(NamedTuple):
    """How much a queue has in the lane; places of entries that were dropped count until passed.

    Attributes:
        ready: by priority.
        delayed: not due yet.
    """

    ready: dict[int, int]
    delayed: int


class Cursor(NamedTuple):
    """A position in the order of a queue level's rows: microseconds of run_at, then id."""

    run_at: int
    id: UUID


class Moved(NamedTuple):
    """What became of a cursor that was to be moved.

    Attributes:
        done: False, and nothing was changed, if it was another one by then.
        cursor: where it is now; None if there is none.
    """

    done: bool
    cursor: Cursor | None


START = Cursor(0, UUID(int=0))


class Caps(NamedTuple):
    """How many entries a lane holds: ready in each level of a queue, delayed in a queue, in all."""

    level: int = 20_000
    total: int = 200_000

    @property
    def floor(self) -> int:
        """How many a level may hold in a full lane: what others hold starves nobody (A2)."""
        return self.total // 400


class Capabilities(NamedTuple):
    """What a lane can do; the conformance suite skips by these alone.

    Attributes:
        priorities: levels share the takes by weight.
        max_delay: seconds, or None for any.
        blocking: `wait` returns as soon as something comes.
        database: jobs are inserted, and handlers write, in transactions of SQL.
        limits: rate limits put jobs off.
        schedules: jobs are made by the clock.
        links: jobs wait for others, by an ordering key or in a flow.
    """

    priorities: bool = True
    max_delay: float | None = None
    blocking: bool = True
    database: bool = True
    limits: bool = True
    schedules: bool = True
    links: bool = True
