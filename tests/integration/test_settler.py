"""Outcomes are written whatever PostgreSQL is busy with, and a defect is told."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import asyncpg

from headrace.engines.ledgered import LedgeredEngine
from headrace.ledger.postgres import PostgresLedger
from headrace.model.job import Delivery, Ending, Token
from headrace.worker.settler import Settler
from integration.ledgers import add, claim, hire, settlement


async def test_a_cancelled_statement_is_repeated(
    migrated_url: str, sql: asyncpg.Connection
) -> None:
    name = await sql.fetchval("SELECT current_database()")
    await sql.execute(f'ALTER DATABASE "{name}" SET statement_timeout = 200')
    ledger = PostgresLedger(migrated_url)
    await ledger.open()
    await ledger.declare((), ["q"])
    await add(ledger)
    worker = await hire(ledger)
    (delivery,) = await claim(ledger, worker)
    answers: list[tuple[Delivery, bool]] = []

    def answered(batch: Sequence[Ending], accepted: set[Token]) -> None:
        answers.extend((one.delivery, one.delivery.token in accepted) for one in batch)

    settler = Settler(LedgeredEngine(ledger), answered, _never)
    async with sql.transaction():
        await sql.execute("SELECT FROM headrace.job FOR UPDATE")
        settler.add(worker, delivery, settlement(delivery))
        draining = asyncio.create_task(settler.drain())
        assert await asyncio.wait([draining], timeout=0.7) == (set(), {draining})
    await draining
    await ledger.close()
    assert answers == [(delivery, True)]
    assert await sql.fetchval("SELECT state FROM headrace.job") == 2


async def test_a_defect_is_told_and_the_others_are_written(ledger: PostgresLedger) -> None:
    class Broken(LedgeredEngine):
        async def settle(self, worker: UUID, endings: Sequence[Ending]) -> set[Token]:
            if endings[0].delivery == first:
                raise ZeroDivisionError
            return await super().settle(worker, endings)

    await add(ledger, 3)
    worker = await hire(ledger)
    first, *others = await claim(ledger, worker, 3)
    written: list[Ending] = []
    defects: list[BaseException] = []
    settler = Settler(Broken(ledger), lambda batch, _: written.extend(batch), defects.append)
    for one in (first, *others):
        settler.add(worker, one, settlement(one))
        await settler.drain()
    assert [ending.delivery for ending in written] == others
    assert [type(defect) for defect in defects] == [ZeroDivisionError]


def _never(defect: BaseException) -> None:
    raise AssertionError(defect)
