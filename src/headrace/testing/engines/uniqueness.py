"""Jobs of one key: which holds it, for how long, and what becomes of another one."""

import asyncio
from datetime import timedelta
from typing import Any, Literal

import pytest

from headrace.errors import DuplicateJob
from headrace.model.job import Ending, Inserted, NewJob
from headrace.model.outcome import Cancel, Dead, Outcome
from headrace.model.unique import OnConflict, Unique, Until
from headrace.model.verdict import steered
from headrace.testing.engines.rig import OTHER, Rig, failure

START: tuple[Literal["queued", "started"], ...] = ("queued", "started")


class Uniqueness:
    """Tests of unique keys, in both modes."""

    async def test_until_it_is_done(self, rig: Rig) -> None:
        first = await _insert(rig, until="done")
        assert await _again(rig, until="done") == Inserted(first.id, duplicate=True)
        (one,) = await rig.take()
        assert (await _again(rig, until="done")).id == first.id, "while it runs"
        await rig.settle(failure(one))
        assert (await _again(rig, until="done")).id == first.id, "while it is tried again"
        (one,) = await rig.take()
        await rig.complete([one])
        assert not (await _again(rig, until="done")).duplicate

    @pytest.mark.parametrize("outcome", [Cancel("c"), Dead("d")])
    async def test_every_end_frees_the_key(self, rig: Rig, outcome: Outcome) -> None:
        await _insert(rig, until="done")
        (one,) = await rig.take()
        await rig.settle(Ending(one, steered(one, outcome, 0.1, timedelta())))
        assert not (await _again(rig, until="done")).duplicate

    async def test_a_cancelled_job_frees_the_key(self, rig: Rig) -> None:
        first = await _insert(rig, until="done")
        await rig.around.inspector.cancel([first.id], "ann")
        assert not (await _again(rig, until="done")).duplicate

    async def test_a_deleted_job_frees_the_key(self, rig: Rig) -> None:
        rig.needs_a_database()
        await _insert(rig, until="done")
        async with rig.around.connection() as connection:
            await connection.execute("DELETE FROM headrace.job")
        assert not (await _again(rig, until="done")).duplicate

    @pytest.mark.parametrize("until", START)
    async def test_until_it_runs(self, rig: Rig, until: Until) -> None:
        first = await _insert(rig, until=until)
        assert (await _again(rig, until=until)).id == first.id
        (one,) = await rig.take()
        assert one.owned, "the ledger knows that it has started, in hybrid mode, too"
        second = await _again(rig, until=until)
        assert not second.duplicate
        assert (await _again(rig, until=until)).id == second.id

    async def test_what_is_tried_again_is_queued_but_has_started(self, rig: Rig) -> None:
        queued = await _insert(rig, key="q", until="queued")
        started = await _insert(rig, key="s", until="started")
        taken = await rig.take()
        await rig.settle(*(failure(one, delay=60) for one in taken))
        assert (await _again(rig, key="q", until="queued")).id == queued.id
        assert (await _again(rig, key="s", until="started")).id != started.id

    @pytest.mark.parametrize("until", START)
    async def test_what_comes_back_unstarted_holds_its_key_again(
        self, rig: Rig, until: Until
    ) -> None:
        first = await _insert(rig, until=until)
        await rig.engine.release(rig.ann, await rig.take())
        assert (await _again(rig, until=until)).id == first.id

    async def test_at_most_so_long(self, rig: Rig) -> None:
        first = await _insert(rig, until="done", for_="10m")
        await rig.around.pass_time(599)
        assert (await _again(rig, until="done", for_="10m")).id == first.id
        await rig.around.pass_time(2)
        assert not (await _again(rig, until="done", for_="10m")).duplicate

    @pytest.mark.parametrize("until", START)
    async def test_the_latest_arguments_win(self, rig: Rig, until: Until) -> None:
        first = await _insert(rig, until=until)
        await rig.around.carry()
        for payload in (b'{"to": "b"}', b'{"to": "c"}'):
            last = await _again(rig, payload, until=until, on_conflict="replace")
            assert last == Inserted(first.id, duplicate=True)
        (one,) = await rig.take()
        assert one.payload == b'{"to": "c"}'
        assert bytes((await rig.get(one.id)).payload) == b'{"to": "c"}'
        later = await _again(rig, b'{"to": "d"}', until=until, on_conflict="replace")
        assert not later.duplicate, "who runs cannot be replaced, so this one runs after it"
        (other,) = await rig.take()
        assert (other.id, other.payload) == (later.id, b'{"to": "d"}')

    async def test_debounced_jobs_wait_until_it_is_quiet(self, rig: Rig) -> None:
        unique = Unique(key="k", until="started", on_conflict="debounce")
        delay = timedelta(seconds=20)
        first, second = (rig.job(unique=unique, delay=delay, headers=_claimed()) for _ in range(2))
        await rig.engine.insert([first])
        await rig.around.carry()
        await rig.around.pass_time(15)
        assert await rig.engine.insert([second]) == [Inserted(first.id, duplicate=True)]
        await rig.around.pass_time(15)
        assert await rig.take() == []
        await rig.around.pass_time(6)
        assert [one.id for one in await rig.take()] == [first.id]

    async def test_what_another_rule_holds_cannot_be_replaced(self, rig: Rig) -> None:
        first = await _insert(rig, until="done")
        with pytest.raises(DuplicateJob, match=f"{first.id} .* another rule"):
            await _again(rig, until="started", on_conflict="replace")

    async def test_nothing_of_a_refused_call_is_written(self, rig: Rig) -> None:
        first = await _insert(rig, until="done")
        plain, again = rig.job(), _job(rig, until="done", on_conflict="raise")
        with pytest.raises(DuplicateJob, match=str(first.id)):
            await rig.engine.insert([plain, again])
        assert [one.id for one in await rig.take()] == [first.id]

    async def test_jobs_are_the_same_by_their_arguments(self, rig: Rig) -> None:
        def one(payload: bytes, **fields: Any) -> NewJob:  # noqa: ANN401 - as in Rig.job
            return rig.job(payload=payload, unique=Unique(by=["a"]), **fields)

        jobs = [
            one(b'{"a": {"x": 1, "y": [2]}, "b": 1}'),
            one(b'{"b": 2, "a": {"y": [2], "x": 1}}'),
            one(b'{"a": {"x": 1, "y": [3]}}'),
            one(b'{"a": {"x": 1, "y": [2]}}', tenant="acme"),
            one(b'{"a": {"x": 1, "y": [2]}}', queue=OTHER),
        ]
        answers = await rig.engine.insert(jobs)
        assert [answer.duplicate for answer in answers] == [False, True, False, False, True]
        whole = [rig.job(payload=payload, unique=Unique()) for payload in (b'{"c":1}', b'{"c":2}')]
        assert [one.duplicate for one in await rig.engine.insert([*whole, whole[0]])] == [False] * 3

    async def test_each_queue_may_have_keys_of_its_own(self, rig: Rig) -> None:
        unique = Unique(key="k", per_queue=True)
        jobs = [rig.job(unique=unique, queue=queue) for queue in ("mail", OTHER, OTHER)]
        answers = await rig.engine.insert(jobs)
        assert [answer.duplicate for answer in answers] == [False, False, True]

    async def test_concurrent_callers_have_one_job(self, rig: Rig) -> None:
        jobs = [_job(rig, until="started") for _ in range(12)]
        answers = await asyncio.gather(*(rig.engine.insert([job]) for job in jobs))
        assert len({one.id for (one,) in answers}) == 1
        assert [one.duplicate for (one,) in answers].count(False) == 1

    async def test_a_call_that_is_repeated_finds_its_own_job(self, rig: Rig) -> None:
        first = await _insert(rig, until="started")
        (taken,) = await rig.take()
        second = _job(rig, until="started", payload=b'{"to": "b"}')
        assert await rig.engine.insert([second]) == [Inserted(second.id)]
        replacing = Unique(key="k", until="started", on_conflict="replace")
        repeated = rig.job(id=first.id, unique=replacing)
        assert await rig.engine.insert([repeated]) == [Inserted(first.id)]
        (other,) = await rig.take()
        assert (other.id, other.payload) == (second.id, b'{"to": "b"}')
        assert taken.id == first.id

    @pytest.mark.parametrize("kept", [True, False])
    async def test_the_answer_sees_what_its_transaction_writes(self, rig: Rig, kept: bool) -> None:  # noqa: FBT001 - a parameter
        rig.needs_a_database()
        first = await _insert(rig, until="started")
        async with rig.around.connection() as connection:
            begun = connection.transaction()
            await begun.start()
            again = _job(rig, until="started")
            assert (await rig.engine.insert([again], connection))[0].id == first.id
            assert await rig.take() == [], "it starts after the commit"
            await (begun.commit() if kept else begun.rollback())
        await rig.beat(rig.ann)
        assert [one.id for one in await rig.take()] == [first.id]

    async def test_who_ignores_the_answer_keeps_no_job_from_starting(self, rig: Rig) -> None:
        rig.needs_a_database()
        first = await _insert(rig, until="started")
        async with rig.around.connection() as connection, connection.transaction():
            again = _job(rig, until="started", on_conflict="ignore")
            assert (await rig.engine.insert([again], connection))[0].id == first.id
            assert [one.id for one in await rig.take()] == [first.id]

    async def test_a_lane_that_loses_all_gives_no_started_job_again(self, rig: Rig) -> None:
        await _insert(rig, until="started")
        (one,) = await rig.take()
        await rig.around.lose_lane()
        assert await rig.take(worker=rig.bob) == []
        assert await rig.complete([one]) == {one.token}

    async def test_a_death_is_charged_once_it_was_claimed(self, rig: Rig) -> None:
        first = await _insert(rig, until="started")
        await rig.take()
        await rig.bury(rig.ann)
        (one,) = await rig.take(worker=rig.bob)
        assert (one.id, one.crashes, one.owned) == (first.id, 1, True)

    async def test_a_document_says_the_same(self, rig: Rig) -> None:
        rig.needs_a_database()
        document = (
            '{"task": "send", "args": {"to": "a"}, '
            '"unique": {"by": ["to"], "until": "started", "on_conflict": "replace"}}'
        )
        async with rig.around.connection() as connection:
            first = await connection.fetchval("SELECT headrace_enqueue($1::jsonb)", document)
            assert first == await connection.fetchval(
                "SELECT headrace_enqueue($1::jsonb)", document
            )
        unique = Unique(by=["to"], until="started")
        (answer,) = await rig.engine.insert([rig.job(payload=b'{"to": "a"}', unique=unique)])
        assert answer == Inserted(first, duplicate=True)
        (one,) = await rig.take()
        assert one.owned

    @pytest.mark.parametrize(
        "said",
        [
            '"k"',
            '{"keys": 1}',
            '{"key": 1}',
            '{"by": []}',
            '{"by": "to"}',
            '{"key": "k", "by": ["to"]}',
            '{"until": "dawn"}',
            '{"for": 0}',
            '{"per_queue": "yes"}',
            '{"on_conflict": "panic"}',
            '{"on_conflict": "replace"}',
        ],
    )
    async def test_a_document_that_cannot_be(self, rig: Rig, said: str) -> None:
        rig.needs_a_database()
        document = f'[{{"task": "send", "unique": {said}}}]'
        async with rig.around.connection() as connection:
            with pytest.raises(Exception, match=r'task "send": unique is .*; give key or by'):
                await connection.execute("SELECT headrace.insert_jobs($1::jsonb)", document)


def _claimed() -> dict[str, bool]:
    return {"claim": True}


def _job(
    rig: Rig,
    *,
    payload: bytes = b'{"to": "a"}',
    key: str = "k",
    until: Until | None = None,
    for_: str | None = None,
    on_conflict: OnConflict = "return",
) -> NewJob:
    unique = Unique(key=key, until=until, for_=for_, on_conflict=on_conflict)
    headers = _claimed() if unique.ends_at_start else None
    return rig.job(payload=payload, unique=unique, headers=headers)


async def _insert(rig: Rig, **unique: Any) -> NewJob:  # noqa: ANN401 - as in _job
    job = _job(rig, **unique)
    assert await rig.engine.insert([job]) == [Inserted(job.id)]
    return job


async def _again(rig: Rig, payload: bytes = b'{"to": "a"}', **unique: Any) -> Inserted:  # noqa: ANN401 - as in _job
    (answer,) = await rig.engine.insert([_job(rig, payload=payload, **unique)])
    return answer
