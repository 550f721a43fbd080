"""Ordering keys: one job at a time, in the order of the commits, whatever becomes of them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from headrace.model.job import CLAIM, Delivery, Ending, Inserted, NewJob
from headrace.model.links import Links, OnDead
from headrace.model.outcome import Cancel, Dead, Outcome
from headrace.model.state import State
from headrace.model.unique import Unique, Until
from headrace.model.verdict import steered
from headrace.testing.engines.rig import OTHER, Rig, completion, failure

_End = Callable[[Rig, Delivery], Awaitable[Any]]


class Ordering:
    """Tests of ordering keys, in both modes."""

    async def test_one_after_the_other_in_order(self, rig: Rig) -> None:
        ids = await _line(rig, 4)
        assert await _drain(rig) == ids

    async def test_the_first_runs_and_the_others_are_blocked(self, rig: Rig) -> None:
        first, second = await _line(rig, 2)
        assert (await rig.get(first)).state is State.AVAILABLE
        assert (await rig.get(second)).state is State.BLOCKED
        (one,) = await rig.take()
        assert one.id == first
        assert await rig.take() == [], "while it runs"

    async def test_keys_do_not_wait_for_each_other(self, rig: Rig) -> None:
        jobs = [
            _job(rig, "a"),
            _job(rig, "b"),
            _job(rig, "a", tenant="acme"),
            _job(rig, "a", queue=OTHER),
            rig.job(),
        ]
        assert [one.blocked for one in await rig.engine.insert(jobs)] == [False] * 5
        assert len([*await rig.take(), *await rig.take(queue=OTHER)]) == 5

    async def test_a_retry_keeps_its_place(self, rig: Rig) -> None:
        first, second = await _line(rig, 2)
        (one,) = await rig.take()
        await rig.settle(failure(one, delay=60))
        assert await _taken(rig) == []
        await rig.around.pass_time(61)
        assert await _drain(rig) == [first, second]

    async def test_a_delay_keeps_its_place_too(self, rig: Rig) -> None:
        first = _job(rig, delay=timedelta(seconds=20))
        second = _job(rig)
        await rig.engine.insert([first, second])
        assert await _taken(rig) == []
        await rig.around.pass_time(21)
        assert await _drain(rig) == [first.id, second.id]

    async def test_the_death_of_its_worker_changes_nothing(self, rig: Rig) -> None:
        first, second = await _line(rig, 2)
        (one,) = await rig.take()
        await rig.bury(rig.ann)
        (again,) = await _taken(rig, worker=rig.bob)
        assert again.id == first
        assert await rig.complete([one]) == set(), "who was buried settles nothing"
        assert await _taken(rig, worker=rig.bob) == []
        await rig.complete([again], worker=rig.bob)
        (last,) = await _taken(rig, worker=rig.bob)
        assert last.id == second

    async def test_a_settle_that_is_repeated_passes_one_turn(self, rig: Rig) -> None:
        ids = await _line(rig, 3)
        (one,) = await rig.take()
        for _ in range(3):
            await rig.complete([one])
        (two,) = await _taken(rig)
        assert two.id == ids[1]
        assert await _taken(rig) == []

    @pytest.mark.parametrize("outcome", [Cancel("c"), Dead("d")])
    async def test_every_end_passes_the_turn(self, rig: Rig, outcome: Outcome) -> None:
        _, second = await _line(rig, 2, on_dead="skip")
        (one,) = await rig.take()
        await rig.settle(Ending(one, steered(one, outcome, 0.1, timedelta())))
        assert [job.id for job in await _taken(rig)] == [second]

    async def test_one_that_is_cancelled_in_the_middle_is_passed_over(self, rig: Rig) -> None:
        ids = await _line(rig, 4)
        await rig.around.inspector.cancel([ids[1], ids[2]], "ann")
        assert await _drain(rig) == [ids[0], ids[3]]

    async def test_the_first_is_cancelled(self, rig: Rig) -> None:
        first, second = await _line(rig, 2)
        await rig.around.inspector.cancel([first], "ann")
        assert await _drain(rig) == [second]

    async def test_a_dead_one_blocks_until_it_is_replayed(self, rig: Rig) -> None:
        ids = await _line(rig, 3)
        await _die(rig)
        assert await _taken(rig) == []
        (late,) = await _line(rig, 1)
        assert (await rig.get(late)).state is State.BLOCKED
        await rig.around.inspector.replay([ids[0]], "ann")
        assert await _drain(rig) == [*ids, late]

    async def test_a_dead_one_blocks_until_it_is_deleted(self, rig: Rig) -> None:
        first, second = await _line(rig, 2)
        await _die(rig)
        await rig.around.inspector.delete([first])
        assert await _drain(rig) == [second]

    async def test_one_that_was_skipped_comes_again_before_those_that_wait(self, rig: Rig) -> None:
        ids = await _line(rig, 3, on_dead="skip")
        await _die(rig)
        (two,) = await _taken(rig)
        await rig.around.inspector.replay([ids[0]], "ann")
        assert (await rig.get(ids[0])).state is State.BLOCKED
        assert await _taken(rig) == [], "after the one whose turn it is"
        await rig.complete([two])
        assert await _drain(rig) == [ids[0], ids[2]]

    async def test_one_that_was_skipped_runs_at_once_where_nobody_does(self, rig: Rig) -> None:
        (only,) = await _line(rig, 1, on_dead="skip")
        await _die(rig)
        await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
        await rig.around.inspector.replay([only], "ann")
        (late,) = await _line(rig, 1, on_dead="skip")
        assert await _drain(rig) == [only, late]

    async def test_another_priority_is_no_other_place(self, rig: Rig) -> None:
        ids = await _line(rig, 3)
        await rig.around.inspector.reprioritise([ids[2]], 1, "ann")
        assert await _drain(rig) == ids

    async def test_its_order_is_that_of_the_commits(self, rig: Rig) -> None:
        """Who inserts while another's transaction is open waits for it."""
        early, late = _job(rig), _job(rig)
        async with rig.around.connection() as connection:
            begun = connection.transaction()
            await begun.start()
            assert not (await rig.engine.insert([early], connection))[0].blocked
            second = asyncio.create_task(rig.engine.insert([late]))
            other = _job(rig, "other")
            assert not (await rig.engine.insert([other]))[0].blocked, "another key is free"
            assert not second.done()
            await begun.commit()
        assert (await second)[0].blocked
        assert [one for one in await _drain(rig) if one != other.id] == [early.id, late.id]

    async def test_what_was_rolled_back_has_no_place(self, rig: Rig) -> None:
        async with rig.around.connection() as connection:
            begun = connection.transaction()
            await begun.start()
            await rig.engine.insert([_job(rig)], connection)
            await begun.rollback()
        ids = await _line(rig, 2)
        assert await _drain(rig) == ids

    async def test_an_open_transaction_holds_up_its_own_key_alone(self, rig: Rig) -> None:
        first, second = await _line(rig, 2)
        others = await _line(rig, 2, key="b")
        taken = await rig.take()
        assert {one.id for one in taken} == {first, others[0]}
        late = _job(rig)
        async with rig.around.connection() as connection, connection.transaction():
            await rig.engine.insert([late], connection)
            await rig.complete(taken)
            (one,) = await _taken(rig)
            assert one.id == others[1]
            await rig.complete([one])
        assert await _drain(rig) == [second, late.id]

    async def test_a_repeated_insert_changes_nothing(self, rig: Rig) -> None:
        jobs = [_job(rig), _job(rig)]
        await rig.engine.insert(jobs)
        await rig.engine.insert(jobs)
        assert await _drain(rig) == [job.id for job in jobs]
        await rig.engine.insert(jobs)
        ids = await _line(rig, 2)
        assert await _drain(rig) == ids

    @pytest.mark.parametrize("until", ["started", "queued"])
    async def test_once_more_after_the_one_that_runs(self, rig: Rig, until: Until) -> None:
        """Unique while it waits, and in a line: whoever comes meanwhile is one job behind it."""

        async def insert(payload: bytes) -> Inserted:
            unique = Unique(key="k", until=until, on_conflict="replace")
            job = _job(rig, unique=unique, payload=payload, headers={CLAIM: True})
            return (await rig.engine.insert([job]))[0]

        first = await insert(b'{"to": "1"}')
        assert (await insert(b'{"to": "2"}')).id == first.id, "it waits"
        (one,) = await rig.take()
        second = await insert(b'{"to": "3"}')
        assert (second.duplicate, second.blocked) == (False, True)
        for payload in (b'{"to": "4"}', b'{"to": "5"}'):
            assert await insert(payload) == Inserted(second.id, duplicate=True)
        assert await _taken(rig) == []
        await rig.complete([one])
        (two,) = await _taken(rig)
        assert [x.payload.replace(b" ", b"") for x in (one, two)] == [b'{"to":"2"}', b'{"to":"5"}']
        third = await insert(b'{"to": "6"}')
        assert third.blocked
        await rig.complete([two])
        assert await _drain(rig) == [third.id]

    async def test_the_loss_of_the_lane_changes_no_order(self, rig: Rig) -> None:
        ids = await _line(rig, 3)
        (one,) = await rig.take()
        await rig.complete([one])
        await rig.around.lose_lane()
        assert await _drain(rig) == ids[1:]


def _job(rig: Rig, key: str = "a", on_dead: OnDead = "block", **fields: Any) -> NewJob:  # noqa: ANN401 - as in Rig.job
    return rig.job(links=Links(order_key=key, on_dead=on_dead), **fields)


async def _line(rig: Rig, n: int, *, key: str = "a", on_dead: OnDead = "block") -> list[UUID]:
    jobs = [_job(rig, key, on_dead) for _ in range(n)]
    await rig.engine.insert(jobs)
    return [job.id for job in jobs]


async def _taken(rig: Rig, worker: UUID | None = None) -> list[Delivery]:
    """What may run once all that ended was looked at."""
    await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
    return await rig.take(worker=worker)


async def _drain(rig: Rig) -> list[UUID]:
    """Complete whatever may run, one batch after the other; the order in which they ran."""
    ran: list[UUID] = []
    while taken := await _taken(rig):
        ran += [one.id for one in taken]
        await rig.settle(*map(completion, taken))
    return ran


async def _die(rig: Rig) -> None:
    (one,) = await _taken(rig)
    await rig.settle(Ending(one, steered(one, Dead("d"), 0.1, timedelta())))
