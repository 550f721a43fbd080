"""How values travel to the scripts and back; lua/prelude.lua describes the same layouts."""

import os
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from uuid import UUID

from asyncpg.pgproto import pgproto  # its kind of UUID is made and hashed in a fifth of the time

from headrace.model.entry import Cursor, Ended, LaneEntry, Lease, delivery_of
from headrace.model.job import Delivery, Token
from headrace.model.priority import STRIDES

STRIDES_PACKED = Struct("<10d").pack(*STRIDES)
_FLAGGED, _AWAITED, _CLEAR = 1, 2, 4

_name = Struct(">16sII").pack
_read_name = Struct(">16sII").unpack
_reasserted = Struct(">16sIIB").pack
_orphan = Struct(">16sIIB").unpack_from
_lease = Struct(">16s16sII").unpack
_head = Struct(
    ">16s7sBIHIHBQ"
).pack  # delay in 6 bytes and stamp in 7, for struct has no such sizes
_record = Struct(">7sIB").pack
_cursor = Struct(">Q16s")


def placed(entries: Sequence[LaneEntry]) -> Iterator[bytes]:
    """The heads of all entries, then the record of each, for put."""
    places_ = list(_places(len(entries)))
    yield b"".join(map(_head_of, entries, places_))
    for entry, place in zip(entries, places_, strict=True):
        flags = entry.flagged * _FLAGGED + entry.awaited * _AWAITED + entry.clear * _CLEAR
        yield _record(place, entry.gen, flags) + entry.body


def _head_of(entry: LaneEntry, place: bytes) -> bytes:
    delay, stamp = max(0, round(entry.delay * 1000)), entry.stamp or 0
    return _head(
        entry.id.bytes,
        place,
        entry.priority,
        delay >> 16,
        delay & 0xFFFF,
        stamp >> 24,
        stamp >> 8 & 0xFFFF,
        stamp & 0xFF,
        entry.run_at,
    )


def places(n: int) -> bytes:
    """New places: random, so that no token of an earlier one is ever taken for another's."""
    return os.urandom(7 * n)


def _places(n: int) -> Iterator[bytes]:
    packed = places(n)
    return (packed[at : at + 7] for at in range(0, 7 * n, 7))


def names(deliveries: Iterable[Delivery]) -> bytes:
    """Leases by id, generation and call."""
    return b"".join([_name(one.id.bytes, one.gen, one.call) for one in deliveries])


def tokens(packed: bytes) -> frozenset[tuple[UUID, int]]:
    """The (id, gen) of packed names."""
    parts = (_read_name(packed[at : at + 24]) for at in range(0, len(packed), 24))
    return frozenset((pgproto.UUID(id_), gen) for id_, gen, _ in parts)


def ids(jobs: Iterable[UUID]) -> bytes:
    """The ids of jobs."""
    return b"".join([one.bytes for one in jobs])


def leases(packed: bytes) -> set[Token]:
    """The (id, gen) of packed leases."""
    return {held(packed[at : at + 20])[0] for at in range(0, len(packed), 20)}


def held(packed: bytes) -> tuple[Token, str]:
    """What a worker holds, and the queue it came from."""
    token = (pgproto.UUID(packed[:16]), int.from_bytes(packed[16:20]))
    return token, packed[20:].decode()


def reasserted(delivery: Delivery) -> bytes:
    """A lease to bring into a new epoch, without queue and body."""
    named = _reasserted(delivery.id.bytes, delivery.gen, delivery.call, delivery.priority)
    return named + places(1)


def ended(entries: Iterable[Ended]) -> bytes:
    """Entries to drop."""
    return b"".join([_name(one.id.bytes, one.gen, one.awaited * _AWAITED) for one in entries])


def orphan(packed: bytes) -> tuple[str, bytes]:
    """The queue and the name of a lease that its worker does not know."""
    return packed[25:].decode(), packed[:24]


def lease(packed: bytes) -> Lease:
    """A lease whose worker is silent."""
    worker, id_, gen, call = _lease(packed)
    return Lease(pgproto.UUID(worker), pgproto.UUID(id_), gen, call)


def deliveries(reply: Sequence[bytes], queue: str, call: int) -> list[Delivery]:
    """What take returned from its third part on: suspect, levels, ids, records."""
    suspect, levels, ids = bool(reply[2]), reply[3], reply[4]
    return [
        delivery_of(
            (pgproto.UUID(ids[at * 16 : at * 16 + 16]), int.from_bytes(record[7:11])),
            queue,
            levels[at],
            record[12:],
            call,
            suspect or bool(record[11] & _FLAGGED),
        )
        for at, record in enumerate(reply[5:])
    ]


def cursor(value: Cursor | None) -> bytes:
    """A cursor; empty for none."""
    return b"" if value is None else _cursor.pack(value.run_at, value.id.bytes)


def read_cursor(packed: bytes) -> Cursor:
    """A cursor as it is kept."""
    run_at, id_ = _cursor.unpack(packed)
    return Cursor(run_at, pgproto.UUID(id_))
