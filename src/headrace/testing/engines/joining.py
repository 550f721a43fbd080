"""Jobs that come after others: let go once, when all of these are over, whatever became of them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from headrace.errors import UsageError
from headrace.model.inspection import Answer
from headrace.model.job import Delivery, Ending, NewJob
from headrace.model.links import Link, Links, Membership, OnFailure
from headrace.model.outcome import Cancel, Dead, Outcome
from headrace.model.state import State
from headrace.model.verdict import steered
from headrace.testing.engines.rig import Rig, completion

MEANINGS: tuple[OnFailure, ...] = ("fail", "ignore", "wait")


class Joining:
    """Tests of edges and flows, in both modes."""

    async def test_a_join_runs_after_all_its_parents(self, rig: Rig) -> None:
        first, second = rig.job(), rig.job()
        join = _after(rig, [first, second])
        answers = await rig.engine.insert([first, second, join])
        assert [one.blocked for one in answers] == [False, False, True]
        one, two = await rig.take()
        await rig.complete([one])
        assert await _taken(rig) == []
        await rig.complete([two])
        assert [job.id for job in await _taken(rig)] == [join.id]

    async def test_a_chain_runs_in_order(self, rig: Rig) -> None:
        jobs = [rig.job()]
        for _ in range(4):
            jobs.append(_after(rig, jobs[-1:]))
        await rig.engine.insert(jobs)
        assert await _drain(rig) == [job.id for job in jobs]

    async def test_one_before_many(self, rig: Rig) -> None:
        root = rig.job()
        leaves = [_after(rig, [root]) for _ in range(30)]
        await rig.engine.insert([root, *leaves])
        await rig.complete(await rig.take())
        assert {one.id for one in await _taken(rig, 100)} == {leaf.id for leaf in leaves}

    async def test_ends_that_are_told_again_count_once(self, rig: Rig) -> None:
        parents = [rig.job() for _ in range(3)]
        join = _after(rig, parents)
        await rig.engine.insert([*parents, join])
        one, two, three = await rig.take()
        for _ in range(3):
            await rig.complete([one])
            await rig.complete([two])
            async with rig.around.connection() as connection:
                await connection.execute(
                    "INSERT INTO headrace.wake (job_id) SELECT unnest($1::uuid[])", [one.id, two.id]
                )
            assert await _taken(rig) == []
        await rig.complete([three])
        (last,) = await _taken(rig)
        assert (last.id, last.gen) in ((join.id, 2), (join.id, 3)), "let go once, then claimed"
        assert await _taken(rig) == []

    @pytest.mark.parametrize("how", ["dead", "cancelled", "cancelled by hand"])
    @pytest.mark.parametrize("meaning", MEANINGS)
    async def test_what_a_failure_means(self, rig: Rig, how: str, meaning: OnFailure) -> None:
        parent = rig.job()
        child = _after(rig, [parent], meaning)
        grandchild = _after(rig, [child])
        await rig.engine.insert([parent, child, grandchild])
        await _end(rig, parent.id, how)
        taken = await _taken(rig)
        states = [(await rig.get(job.id)).state for job in (child, grandchild)]
        if meaning == "ignore":
            assert [one.id for one in taken] == [child.id]
        elif meaning == "wait" and how == "dead":
            assert states == [State.BLOCKED, State.BLOCKED]
            await rig.around.inspector.replay([parent.id], "ann")
            assert await _drain(rig) == [parent.id, child.id, grandchild.id]
        else:
            assert states == [State.CANCELLED, State.CANCELLED]
            error = (await rig.get(child.id)).error
            assert error is not None
            assert error["type"] == "ParentFailed"
            assert str(parent.id) in str(error["message"])

    async def test_a_dead_parent_that_is_deleted_is_waited_for_no_longer(self, rig: Rig) -> None:
        parent = rig.job()
        child = _after(rig, [parent], "wait")
        await rig.engine.insert([parent, child])
        await _end(rig, parent.id, "dead")
        assert await _taken(rig) == []
        await rig.around.inspector.delete([parent.id])
        assert await _taken(rig) == []
        assert (await rig.get(child.id)).state is State.CANCELLED

    @pytest.mark.parametrize("over", [False, True])
    async def test_jobs_that_were_there_already(self, rig: Rig, over: bool) -> None:  # noqa: FBT001 - a parameter
        one = await rig.given()
        if over:
            await rig.complete([one])
        child = _after(rig, [one])
        assert (await rig.engine.insert([child]))[0].blocked
        if not over:
            assert await _taken(rig) == []
            await rig.complete([one])
        assert [job.id for job in await _taken(rig)] == [child.id]

    async def test_a_job_that_was_dead_already_is_waited_for(self, rig: Rig) -> None:
        one = await rig.given()
        await rig.settle(Ending(one, steered(one, Dead("d"), 0.1, timedelta())))
        child = _after(rig, [one], "wait")
        await rig.engine.insert([child])
        assert await _taken(rig) == []
        await rig.around.inspector.replay([one.id], "ann")
        assert await _drain(rig) == [one.id, child.id]

    async def test_a_flow_fails_again_while_what_it_comes_after_is_dead(self, rig: Rig) -> None:
        flows = rig.around.inspector.flows
        member = Membership(rig.engine.new_id(), "", "step")
        parent = rig.job()
        child = _after(rig, [parent], flow=member)
        await rig.engine.insert([parent, child])
        await _end(rig, parent.id, "dead")
        for _ in range(2):
            assert await _taken(rig) == []
            assert (await rig.get(child.id)).state is State.CANCELLED
            assert await flows.retry(member.id, "ann") == [child.id]
        await rig.around.inspector.replay([parent.id], "ann")
        assert await _drain(rig) == [parent.id, child.id]

    async def test_an_open_transaction_holds_up_no_end(self, rig: Rig) -> None:
        """Who comes after a job that runs does not lock it; its end is not missed."""
        one = await rig.given()
        child = _after(rig, [one])
        async with rig.around.connection() as connection, connection.transaction():
            await rig.engine.insert([child], connection)
            assert await rig.complete([one]) == {one.token}
        assert [job.id for job in await _taken(rig)] == [child.id]

    async def test_a_parent_that_is_not_there_is_refused(self, rig: Rig) -> None:
        lost = uuid4()
        child = rig.job(links=Links(after=(Link(rig.engine.new_id()), Link(lost))))
        with pytest.raises(UsageError, match="is not in the ledger"):
            await rig.engine.insert([child])
        late = rig.job()
        with pytest.raises(UsageError, match="give parents first"):
            await rig.engine.insert([_after(rig, [late]), late])

    async def test_a_blocked_job_is_cancelled(self, rig: Rig) -> None:
        parent = rig.job()
        child = _after(rig, [parent])
        await rig.engine.insert([parent, child])
        assert await rig.around.inspector.cancel([child.id], "ann") == {child.id: Answer.DONE}
        assert await _drain(rig) == [parent.id]
        assert (await rig.get(child.id)).state is State.CANCELLED

    async def test_a_delay_counts_from_the_insert(self, rig: Rig) -> None:
        parent = rig.job()
        child = _after(rig, [parent], delay=timedelta(seconds=20))
        await rig.engine.insert([parent, child])
        assert await _drain(rig) == [parent.id]
        assert (await rig.get(child.id)).state is State.SCHEDULED
        await rig.around.pass_time(21)
        assert await _drain(rig) == [child.id]

    async def test_a_job_that_is_put_before_a_join_is_waited_for(self, rig: Rig) -> None:
        parent = rig.job()
        join = _after(rig, [parent])
        await rig.engine.insert([parent, join])
        (one,) = await rig.take()
        added = rig.job(links=Links(before=(Link(join.id),)))
        await rig.engine.insert([added])
        await rig.complete([one])
        (other,) = await _taken(rig)
        assert other.id == added.id
        await rig.complete([other])
        assert [job.id for job in await _taken(rig)] == [join.id]

    async def test_one_that_is_done_before_its_adder_lets_nothing_go(self, rig: Rig) -> None:
        parent = rig.job()
        join = _after(rig, [parent])
        await rig.engine.insert([parent, join])
        (one,) = await rig.take()
        await rig.engine.insert([rig.job(links=Links(before=(Link(join.id),)))])
        await rig.complete(await rig.take())
        assert await _taken(rig) == []
        await rig.complete([one])
        assert [job.id for job in await _taken(rig)] == [join.id]

    async def test_a_join_waits_for_whoever_is_putting_jobs_before_it(self, rig: Rig) -> None:
        parent = rig.job()
        join = _after(rig, [parent])
        await rig.engine.insert([parent, join])
        (one,) = await rig.take()
        added = rig.job(links=Links(before=(Link(join.id),)))
        async with rig.around.connection() as connection, connection.transaction():
            await rig.engine.insert([added], connection)
            await rig.complete([one])
            assert await _taken(rig) == []
        (other,) = await _taken(rig)
        assert other.id == added.id
        await rig.complete([other])
        assert [job.id for job in await _taken(rig)] == [join.id]

    async def test_nothing_is_put_before_what_does_not_wait(self, rig: Rig) -> None:
        (free,) = await rig.insert()
        with pytest.raises(UsageError, match="does not wait any more"):
            await rig.engine.insert([rig.job(links=Links(before=(Link(free),)))])
        (one,) = await rig.take()
        join = _after(rig, [one])
        await rig.engine.insert([join])
        for odd in (
            Links(before=(Link(join.id),), order_key="k"),
            Links(before=(Link(join.id),), after=(Link(free),)),
        ):
            with pytest.raises(UsageError, match="they might wait for it"):
                await rig.engine.insert([rig.job(links=odd)])

    async def test_workers_that_end_at_once_let_go_once(self, rig: Rig) -> None:
        parents = [rig.job() for _ in range(40)]
        joins = [_after(rig, parents) for _ in range(3)]
        await rig.engine.insert([*parents, *joins])
        taken = await rig.take(100)
        assert len(taken) == 40
        await asyncio.gather(*(rig.complete([one]) for one in taken for _ in range(2)))
        let_go = await _taken(rig)
        assert {one.id for one in let_go} == {join.id for join in joins}
        async with rig.around.connection() as connection:
            gens = await connection.fetch(
                "SELECT gen FROM headrace.job WHERE id = ANY ($1)", [join.id for join in joins]
            )
        claimed = 1 if let_go[0].owned else 0
        assert [row["gen"] - claimed for row in gens] == [2, 2, 2]

    async def test_a_step_of_a_line_may_come_after_others_too(self, rig: Rig) -> None:
        parent = rig.job()
        early = rig.job(links=Links(order_key="k", after=(Link(parent.id),)))
        late = rig.job(links=Links(order_key="k"))
        answers = await rig.engine.insert([parent, early, late])
        assert [one.blocked for one in answers] == [False, True, True]
        assert await _drain(rig) == [parent.id, early.id, late.id]

    async def test_a_flow_is_shown_cancelled_and_retried(self, rig: Rig) -> None:
        flows = rig.around.inspector.flows
        member = Membership(rig.engine.new_id(), "nightly", "step")
        parents = [rig.job(links=Links(flow=member)) for _ in range(3)]
        join = _after(rig, parents, flow=member)
        last = _after(rig, [join], flow=member)
        await rig.engine.insert([*parents, join, last])
        await _end(rig, parents[0].id, "dead")
        await _taken(rig, 0)
        seen = await flows.get(member.id)
        assert (seen.name, [step.id for step in seen.steps][-1]) == ("nightly", last.id)
        assert seen.counts[State.CANCELLED] == 2
        assert seen.steps[3].after == tuple(sorted(job.id for job in parents))
        again = await flows.retry(member.id, "ann")
        assert set(again) == {parents[0].id, join.id, last.id}
        assert await flows.retry(member.id, "ann") == []
        ran = await _drain(rig)
        assert ran[-2:] == [join.id, last.id]
        assert (await flows.get(member.id)).succeeded

    async def test_a_flow_that_was_cancelled_goes_on_from_where_it_was(self, rig: Rig) -> None:
        flows = rig.around.inspector.flows
        member = Membership(rig.engine.new_id(), "", "step")
        first = rig.job(links=Links(flow=member))
        rest = [first]
        for _ in range(3):
            rest.append(_after(rig, rest[-1:], flow=member))
        await rig.engine.insert(rest)
        await rig.complete(await rig.take())
        await _taken(rig, 0)
        answers = await flows.cancel(member.id, "ann", "no more")
        assert set(answers.values()) == {Answer.DONE}
        assert await _taken(rig) == []
        assert (await flows.get(member.id)).over
        assert len(await flows.retry(member.id, "ann")) == 3
        assert await _drain(rig) == [job.id for job in rest[1:]]
        assert [one.id for one in await flows.list_flows(5)] == [member.id]


def _after(
    rig: Rig,
    parents: Sequence[NewJob | Delivery],
    on_failure: OnFailure = "fail",
    flow: Membership | None = None,
    **fields: Any,  # noqa: ANN401 - as in Rig.job
) -> NewJob:
    links = Links(after=tuple(Link(one.id, on_failure) for one in parents), flow=flow)
    return rig.job(links=links, **fields)


async def _taken(rig: Rig, n: int = 10) -> list[Delivery]:
    """What may run once all that ended was looked at."""
    await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
    return await rig.take(n) if n else []


async def _drain(rig: Rig) -> list[UUID]:
    """Complete whatever may run, one batch after the other; the order in which they ran."""
    ran: list[UUID] = []
    while taken := await _taken(rig):
        ran += [one.id for one in taken]
        await rig.settle(*map(completion, taken))
    return ran


async def _end(rig: Rig, job_id: UUID, how: str) -> None:
    if how == "cancelled by hand":
        await rig.around.inspector.cancel([job_id], "ann")
        return
    outcome: Outcome = Dead("d") if how == "dead" else Cancel("c")
    taken = await rig.take()
    for one in taken:
        if one.id == job_id:
            await rig.settle(Ending(one, steered(one, outcome, 0.1, timedelta())))
    rest = [one for one in taken if one.id != job_id]
    if rest:
        await rig.engine.release(rig.ann, rest)
