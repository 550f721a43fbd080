"""What a handler writes commits together with its completion, or not at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headrace.model.job import Delivery
from headrace.model.state import State
from headrace.model.verdict import completed
from headrace.ports.engine import Transaction
from headrace.testing.engines.rig import Rig


class _HandlerError(Exception):
    """What a handler of these tests raises."""


class Transactions:
    """Tests of transaction."""

    async def test_effects_and_completion_are_one(self, rig: Rig) -> None:
        one = await rig.given()
        async with _effects(rig), rig.engine.transaction(None) as tx:
            async with tx.block():
                await _write(tx.handle, one)
            assert await _written(rig) == 0
            assert await tx.commit(rig.ann, completed(one, '"sent"', 0.1))
            assert await _written(rig) == 1
        job = await rig.get(one.id)
        assert (job.state, job.attempt) == (State.COMPLETED, 1)
        assert job.result is not None
        assert bytes(job.result) == b'"sent"'

    async def test_a_stale_attempt_leaves_no_effects(self, rig: Rig) -> None:
        old = await rig.given()
        async with _effects(rig):
            async with rig.engine.transaction(None) as tx:
                async with tx.block():
                    await _write(tx.handle, old)
                await rig.bury(rig.ann)
                (new,) = await rig.take(worker=rig.bob)
                assert not await tx.commit(rig.ann, completed(old, None, 0.1))
            assert await _written(rig) == 0
            async with rig.engine.transaction(None) as tx:
                async with tx.block():
                    await _write(tx.handle, new)
                assert await tx.commit(rig.bob, completed(new, None, 0.1))
            assert await _written(rig) == 1

    async def test_without_a_commit_nothing_happened(self, rig: Rig) -> None:
        one = await rig.given()
        async with _effects(rig):
            async with rig.engine.transaction(None) as tx, tx.block():
                await _write(tx.handle, one)
            assert await _written(rig) == 0
            with pytest.raises(_HandlerError):
                await _fail_in_transaction(rig, one)
            assert await _written(rig) == 0
        assert await rig.engine.extend([one]) == {one.id}
        assert await rig.complete([one]) == {one.token}

    async def test_a_block_that_raises_is_undone_alone(self, rig: Rig) -> None:
        one = await rig.given()
        async with _effects(rig):
            async with rig.engine.transaction(None) as tx:
                async with tx.block():
                    await _write(tx.handle, one)
                with pytest.raises(_HandlerError):
                    await _fail_in_block(tx, one)
                assert await tx.commit(rig.ann, completed(one, None, 0.1))
            assert await _written(rig) == 1

    async def test_a_commit_whose_reply_was_lost_is_recognised(self, rig: Rig) -> None:
        one = await rig.given()
        async with rig.engine.transaction(None) as tx:
            assert await tx.commit(rig.ann, completed(one, None, 0.1))
        job = await rig.get(one.id)
        assert await rig.complete([one]) == {one.token}
        assert await rig.complete([one], worker=rig.bob) == set()
        assert await rig.get(one.id) == job

    async def test_a_job_that_was_settled_cannot_commit_again(self, rig: Rig) -> None:
        one = await rig.given()
        assert await rig.complete([one]) == {one.token}
        async with _effects(rig):
            async with rig.engine.transaction(None) as tx:
                async with tx.block():
                    await _write(tx.handle, one)
                assert not await tx.commit(rig.ann, completed(one, None, 0.1))
            assert await _written(rig) == 0

    async def test_jobs_of_a_handler_commit_with_it(self, rig: Rig) -> None:
        one, child = await rig.given(), rig.job()
        async with rig.engine.transaction(None) as tx:
            async with tx.block():
                await rig.engine.insert([child], tx.handle)
            assert await rig.take() == []
            assert await tx.commit(rig.ann, completed(one, None, 0.1))
        assert [got.id for got in await rig.take()] == [child.id]

    async def test_an_open_transaction_blocks_nobody(self, rig: Rig) -> None:
        one = await rig.given()
        async with rig.engine.transaction(None) as tx, tx.block():
            await tx.handle.execute("SELECT 1")
            await rig.insert(3)
            assert len(await rig.take(worker=rig.bob)) == 3
            assert (await rig.beat(rig.ann, [one])).alive
            assert await rig.complete([one]) == {one.token}


@asynccontextmanager
async def _effects(rig: Rig) -> AsyncIterator[None]:
    """A table in which handlers write."""
    async with rig.around.connection() as connection:
        await connection.execute("CREATE TABLE effect (job_id uuid)")
    try:
        yield
    finally:
        async with rig.around.connection() as connection:
            await connection.execute("DROP TABLE effect")


async def _fail_in_transaction(rig: Rig, delivery: Delivery) -> None:
    async with rig.engine.transaction(None) as tx:
        await _fail_in_block(tx, delivery)


async def _fail_in_block(tx: Transaction, delivery: Delivery) -> None:
    async with tx.block():
        await _write(tx.handle, delivery)
        raise _HandlerError


async def _write(handle: Any, delivery: Delivery) -> None:  # noqa: ANN401 - a connection
    await handle.execute("INSERT INTO effect VALUES ($1)", delivery.id)


async def _written(rig: Rig) -> int:
    async with rig.around.connection() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM effect")
    return count
