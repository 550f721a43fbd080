"""What a job takes in memory on its way, in blocks of the allocator: double it, and these fail."""

import gc
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from asyncpg.pgproto import pgproto

from headrace import Headrace
from headrace.lanes.redis import packing
from headrace.ledger.rows import as_delivery
from headrace.model.entry import Body, pack_body

JOBS = 500
PAYLOAD = b'{"to": "somebody"}'


def blocks(make: Callable[[], list[object]]) -> float:
    """Blocks that are kept for each of the things made."""
    make()
    gc.collect()
    before = sys.getallocatedblocks()
    made = make()
    gc.collect()
    return (sys.getallocatedblocks() - before) / len(made)


def test_a_job_claimed_from_the_ledger() -> None:
    row: Any = (
        uuid4(),
        2,
        "send",
        PAYLOAD.decode(),
        5,
        0,
        0,
        3,
        "",
        False,
        None,
        datetime.now(UTC),
    )
    assert blocks(lambda: [as_delivery(row, "mail", 1) for _ in range(JOBS)]) <= 2.5


def test_a_job_taken_from_the_lane() -> None:
    body = pack_body(Body("send", PAYLOAD, 0, 0, 3, ""))
    record = bytes(7) + (2).to_bytes(4) + bytes(1) + body
    reply: list[Any] = [0, 0, 0, bytes([5]) * JOBS, os.urandom(16 * JOBS), *[record] * JOBS]
    assert blocks(lambda: list(packing.deliveries(reply, "mail", 1))) <= 6


def test_a_job_on_its_way_to_the_ledger() -> None:
    app = Headrace("tests", database_url="postgresql://nobody@localhost/none")

    @app.task()
    async def send(to: str) -> None: ...

    assert blocks(lambda: [send.job("somebody") for _ in range(JOBS)]) <= 2.5


def test_an_id_of_the_driver_is_one_of_the_standard_library() -> None:
    assert isinstance(pgproto.UUID(os.urandom(16)), UUID)
