"""An insert is durable when it returns, all or nothing, and harmless to repeat."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from headrace.errors import UnknownQueue, UsageError
from headrace.model.job import Inserted
from headrace.model.state import State
from headrace.model.unique import Unique
from headrace.testing.engines.rig import QUEUE, TASK, Rig, failure

ONCE = Unique(key="k", for_="24h")


class Inserts:
    """Tests of insert, in the engine's own transactions and in those of others."""

    async def test_a_job_is_given_as_it_was_inserted(self, rig: Rig) -> None:
        one = await rig.given(
            priority=3, max_attempts=7, tenant="acme", payload=b'{"to": "\xc3\xa9"}'
        )
        assert (one.task, one.queue, one.priority, one.max_attempts) == (TASK, QUEUE, 3, 7)
        assert (one.tenant, one.payload, one.attempt) == ("acme", b'{"to": "\xc3\xa9"}', 1)
        job = await rig.get(one.id)
        assert (job.task, job.queue, job.priority, job.max_attempts) == (TASK, QUEUE, 3, 7)
        assert (job.tenant, bytes(job.payload)) == ("acme", one.payload)

    @pytest.mark.parametrize("key", [None, "one"])
    async def test_headers_travel_with_each_run(self, rig: Rig, key: str | None) -> None:
        headers = {"odd": {"number": 1, "text": "\xe9"}}
        unique = None if key is None else Unique(key=key, for_="24h")
        first = await rig.given(headers=headers, unique=unique)
        assert first.headers == headers
        await rig.settle(failure(first))
        assert [one.headers for one in await rig.take()] == [headers]
        assert (await rig.given()).headers is None

    async def test_no_jobs_are_no_work(self, rig: Rig) -> None:
        assert await rig.engine.insert([]) == []

    async def test_a_repeated_insert_changes_nothing(self, rig: Rig) -> None:
        jobs = [rig.job() for _ in range(3)]
        first = await rig.engine.insert(jobs)
        assert await rig.engine.insert(jobs) == first == [Inserted(job.id) for job in jobs]
        held = await rig.take()
        assert len(held) == 3
        await rig.engine.insert(jobs)
        assert await rig.take() == []
        await rig.complete(held)
        await rig.engine.insert(jobs)
        assert await rig.take() == []
        assert {job.state for job in await rig.engine.get([job.id for job in jobs])} == {
            State.COMPLETED
        }

    async def test_an_unknown_queue_is_refused_and_so_are_its_companions(self, rig: Rig) -> None:
        good, bad = rig.job(), rig.job(queue="nowhere")
        with pytest.raises(UnknownQueue, match="nowhere"):
            await rig.engine.insert([good, bad])
        assert await rig.engine.get([good.id, bad.id]) == []
        assert await rig.take() == []

    async def test_concurrent_callers_each_get_their_own_answer(self, rig: Rig) -> None:
        callers = [[rig.job() for _ in range(n % 4)] for n in range(60)]
        callers[31] = [rig.job(queue="nowhere")]
        answers = await asyncio.gather(*map(rig.engine.insert, callers), return_exceptions=True)
        assert isinstance(answers.pop(31), UnknownQueue)
        del callers[31]
        assert answers == [[Inserted(job.id) for job in jobs] for jobs in callers]
        ids = {job.id for jobs in callers for job in jobs}
        assert {one.id for one in await rig.take(500)} == ids

    async def test_ids_rise(self, rig: Rig) -> None:
        ids = [rig.engine.new_id() for _ in range(2_000)]
        assert ids == sorted(set(ids))

    async def test_a_time_that_has_passed_is_now(self, rig: Rig) -> None:
        await rig.given(run_at=datetime.now(UTC) - timedelta(days=3))

    async def test_an_idempotency_key_has_one_job(self, rig: Rig) -> None:
        first, second = rig.job(unique=ONCE), rig.job(unique=ONCE)
        assert await rig.engine.insert([first]) == [Inserted(first.id)]
        assert await rig.engine.insert([second]) == [Inserted(first.id, duplicate=True)]
        assert await rig.engine.insert([first]) == [Inserted(first.id)], "its own key"
        (held,) = await rig.take()
        assert await rig.complete([held]) == {held.token}
        assert held.id == first.id
        assert await rig.engine.insert([second]) == [Inserted(first.id, duplicate=True)]
        assert await rig.take() == []
        assert await rig.engine.get([second.id]) == []

    async def test_an_idempotency_key_is_that_of_a_task_and_a_tenant(self, rig: Rig) -> None:
        jobs = [
            rig.job(unique=ONCE),
            rig.job(unique=ONCE, tenant="acme"),
            rig.job(unique=ONCE, task="else"),
            rig.job(),
        ]
        assert await rig.engine.insert(jobs) == [Inserted(job.id) for job in jobs]
        assert len(await rig.take()) == 4

    async def test_an_idempotency_key_expires(self, rig: Rig) -> None:
        first, second = (rig.job(unique=Unique(key="k", for_="10m")) for _ in range(2))
        await rig.engine.insert([first])
        await rig.around.pass_time(599)
        assert await rig.engine.insert([second]) == [Inserted(first.id, duplicate=True)]
        await rig.around.pass_time(2)
        assert await rig.engine.insert([second]) == [Inserted(second.id)]
        assert {one.id for one in await rig.take()} == {first.id, second.id}

    async def test_one_key_twice_in_a_call_is_one_job(self, rig: Rig) -> None:
        first, second = rig.job(unique=ONCE), rig.job(unique=ONCE)
        assert await rig.engine.insert([first, second]) == [
            Inserted(first.id),
            Inserted(first.id, duplicate=True),
        ]

    async def test_concurrent_callers_of_one_key_have_one_job(self, rig: Rig) -> None:
        jobs = [rig.job(unique=ONCE) for _ in range(12)]
        answers = [
            one for (one,) in await asyncio.gather(*(rig.engine.insert([job]) for job in jobs))
        ]
        (delivery,) = await rig.take(50)
        assert {one.id for one in answers} == {delivery.id}
        assert [one.duplicate for one in answers].count(False) == 1

    async def test_a_foreign_transaction_decides(self, rig: Rig) -> None:
        rig.needs_a_database()
        kept, dropped = rig.job(), rig.job(unique=ONCE)
        async with rig.around.connection() as connection:
            async with connection.transaction():
                assert await rig.engine.insert([kept], connection) == [Inserted(kept.id)]
                assert await rig.engine.get([kept.id]) == []
                assert await rig.take() == []
            begun = connection.transaction()
            await begun.start()
            assert await rig.engine.insert([dropped], connection) == [Inserted(dropped.id)]
            await begun.rollback()
        assert [one.id for one in await rig.take()] == [kept.id]
        again = rig.job(unique=ONCE)
        assert await rig.engine.insert([again]) == [Inserted(again.id)], "the key is free again"

    async def test_a_refusal_leaves_a_foreign_transaction_usable(self, rig: Rig) -> None:
        rig.needs_a_database()
        one = rig.job()
        async with rig.around.connection() as connection, connection.transaction():
            with pytest.raises(UnknownQueue, match="nowhere"):
                await rig.engine.insert([rig.job(queue="nowhere")], connection)
            await rig.engine.insert([one], connection)
        assert [got.id for got in await rig.take()] == [one.id]

    async def test_a_connection_without_a_transaction_is_refused(self, rig: Rig) -> None:
        rig.needs_a_database()
        async with rig.around.connection() as connection:
            with pytest.raises(UsageError, match="no open transaction"):
                await rig.engine.insert([rig.job()], connection)
        assert await rig.take() == []
