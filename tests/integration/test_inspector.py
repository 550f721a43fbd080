import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from headrace.errors import JobNotFound, UnknownQueue, UsageError
from headrace.ledger import inspector as module
from headrace.ledger.bulk import change_matching, matching
from headrace.ledger.inspector import LedgerInspector
from headrace.ledger.queries import Queries
from headrace.model.inspection import BOUND, Answer, JobFilter, QueueCounts
from headrace.model.state import WAITING, State, Stored
from headrace.model.unique import Unique
from jobsmith import HOUR, Jobsmith

ACTOR = "cli:tester"


@pytest.fixture
def inspector(queries: Queries) -> LedgerInspector:
    return LedgerInspector(queries)


async def ids_of(inspector: LedgerInspector, *states: State, **fields: object) -> set[UUID]:
    wanted = JobFilter(states=states, **fields)  # type: ignore[arg-type]  # fields by name
    return {one async for ids in matching(inspector, wanted) for one in ids}


async def one_of_each(smith: Jobsmith) -> dict[State, UUID]:
    each = {
        State.COMPLETED: await smith.complete(),
        State.DEAD: await smith.die(),
        State.RETRYABLE: await smith.fail(),
        State.RUNNING: await smith.insert(),
    }
    await smith.claim()
    each[State.SCHEDULED] = await smith.insert(delay=HOUR)
    each[State.AVAILABLE] = await smith.insert()
    return {state: ids[0] for state, ids in each.items()}


async def truth(queries: Queries) -> dict[int, int]:
    """Jobs by stored state, counted by scanning."""
    async with queries.connection() as connection:
        rows = await connection.fetch("SELECT state, count(*) FROM headrace.job GROUP BY state")
    return {row["state"]: row["count"] for row in rows}


async def check_counters(inspector: LedgerInspector, queries: Queries) -> None:
    counts = await inspector.queues()
    by_state = {
        Stored.LIVE: sum(one.live for one in counts),
        Stored.BLOCKED: sum(one.blocked for one in counts),
        Stored.COMPLETED: sum(one.completed for one in counts),
        Stored.DEAD: sum(one.dead for one in counts),
        Stored.CANCELLED: sum(one.cancelled for one in counts),
    }
    found = await truth(queries)
    assert by_state == {state: found.get(state, 0) for state in Stored}


async def test_each_state_is_found_as_the_model_derives_it(
    smith: Jobsmith, inspector: LedgerInspector
) -> None:
    each = await one_of_each(smith)
    for state, job_id in each.items():
        assert await ids_of(inspector, state) == {job_id}
        assert (await inspector.get(job_id)).state is state
        # The walk and the indexes for live and dead jobs must agree.
        assert await ids_of(inspector, state, State.BLOCKED) == {job_id}
    assert await ids_of(inspector) == set(each.values())


async def test_pages_are_newest_first_and_meet(smith: Jobsmith, inspector: LedgerInspector) -> None:
    made = await smith.insert(7)
    seen: list[UUID] = []
    cursor = None
    while True:
        page = await inspector.list_jobs(JobFilter(), limit=3, before=cursor)
        seen += [job.id for job in page.jobs]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == sorted(made, reverse=True)


@pytest.mark.parametrize("states", [(), (State.DEAD,), (State.AVAILABLE,)])
async def test_a_long_search_is_cut_and_goes_on(
    states: tuple[State, ...],
    smith: Jobsmith,
    inspector: LedgerInspector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_WALK", 5)
    make = smith.die if states == (State.DEAD,) else smith.insert
    rare = await make(1, task="rare")
    await make(11)
    found = await inspector.find(JobFilter(task="rare", states=states), limit=10)
    assert found.ids == ()
    assert found.cursor is not None
    assert await ids_of(inspector, *states, task="rare") == set(rare)


async def test_filters(smith: Jobsmith, inspector: LedgerInspector) -> None:
    (dead,) = await smith.die(tenant="a")
    (other,) = await smith.die(queue="other", task="else")
    assert await ids_of(inspector, tenant="a") == {dead}
    assert await ids_of(inspector, task="else") == {other}
    assert await ids_of(inspector, queue="other") == {other}
    assert await ids_of(inspector, State.DEAD, error="boom 50% AT host_1") == {dead, other}
    assert await ids_of(inspector, State.DEAD, error="host%") == set()
    now = datetime.now(UTC)
    assert await ids_of(inspector, since=now - HOUR, until=now + HOUR) == {dead, other}
    assert await ids_of(inspector, since=now + HOUR) == set()
    assert await ids_of(inspector, until=now - HOUR) == set()
    assert await ids_of(inspector, settled_for=timedelta(0)) == {dead, other}
    assert await ids_of(inspector, settled_for=HOUR) == set()


def test_naive_times_and_wrong_states_are_refused() -> None:
    with pytest.raises(UsageError, match="time zone"):
        JobFilter(since=datetime(2026, 1, 1))  # noqa: DTZ001 - the case
    with pytest.raises(UsageError, match="cannot be done to completed jobs"):
        JobFilter(states=(State.COMPLETED,)).among(*WAITING)
    assert JobFilter().among(*WAITING).states == WAITING


async def test_counts(smith: Jobsmith, inspector: LedgerInspector, queries: Queries) -> None:
    await one_of_each(smith)
    await smith.insert(2, queue="other", priority=1)
    main, other = await inspector.queues()
    assert (main.live, main.available, main.scheduled, main.retryable, main.running) == (
        4,
        1,
        1,
        1,
        1,
    )
    assert (main.completed, main.dead, main.cancelled, main.blocked) == (1, 1, 0, 0)
    assert (other.queue, other.available, other.running) == ("other", 2, 0)
    assert main.oldest is not None
    assert abs(datetime.now(UTC) - main.oldest) < timedelta(minutes=1)
    await check_counters(inspector, queries)
    await queries.fetch("fold_counters")
    assert await inspector.queue("other") == other
    with pytest.raises(UnknownQueue, match='queue "no"'):
        await inspector.queue("no")


async def test_a_deep_queue_is_counted_up_to_the_bound(
    smith: Jobsmith, inspector: LedgerInspector
) -> None:
    await smith.insert(BOUND + 50)
    counts = await inspector.queue("main")
    assert counts.available == BOUND + 1
    assert counts.live == BOUND + 50


async def test_cancel_spares_what_runs_or_is_over(
    smith: Jobsmith, inspector: LedgerInspector, queries: Queries
) -> None:
    each = await one_of_each(smith)
    unknown = uuid4()
    before = {state: await inspector.get(one) for state, one in each.items()}
    answers = await inspector.cancel([*each.values(), unknown], ACTOR)
    assert answers == {
        each[State.SCHEDULED]: Answer.DONE,
        each[State.RETRYABLE]: Answer.DONE,
        each[State.AVAILABLE]: Answer.DONE,
        each[State.RUNNING]: Answer.RUNNING,
        each[State.COMPLETED]: Answer.UNFIT,
        each[State.DEAD]: Answer.UNFIT,
        unknown: Answer.MISSING,
    }
    job = await inspector.get(each[State.AVAILABLE])
    assert job.state is State.CANCELLED
    assert job.gen == before[State.AVAILABLE].gen + 1
    (event,) = await inspector.history(job.id)
    assert (event.kind, event.actor, event.gen) == ("cancelled", ACTOR, job.gen - 1)
    await check_counters(inspector, queries)


async def test_a_locked_row_blocks_nobody(smith: Jobsmith, inspector: LedgerInspector) -> None:
    held, free = await smith.insert(2)
    (dead,) = await smith.die(queue="other")
    connection = await asyncpg.connect(smith.url)
    try:
        async with connection.transaction():
            await connection.execute(
                "SELECT FROM headrace.job WHERE id = ANY ($1) FOR UPDATE", [held, dead]
            )
            assert await inspector.reprioritise([held, free], 1, ACTOR) == {
                held: Answer.BUSY,
                free: Answer.DONE,
            }
            assert await inspector.cancel([held, free], ACTOR) == {
                held: Answer.BUSY,
                free: Answer.DONE,
            }
            assert await inspector.replay([dead], ACTOR) == {dead: Answer.BUSY}
            assert await inspector.delete([dead]) == {dead: Answer.BUSY}
    finally:
        await connection.close()


async def test_promote_and_retry(smith: Jobsmith, inspector: LedgerInspector) -> None:
    each = await one_of_each(smith)
    assert await inspector.promote(list(each.values()), ACTOR) == {
        each[State.SCHEDULED]: Answer.DONE,
        each[State.RETRYABLE]: Answer.DONE,
        each[State.AVAILABLE]: Answer.UNFIT,
        each[State.RUNNING]: Answer.RUNNING,
        each[State.COMPLETED]: Answer.UNFIT,
        each[State.DEAD]: Answer.UNFIT,
    }
    retryable = await inspector.get(each[State.RETRYABLE])
    assert retryable.state is State.AVAILABLE
    assert retryable.failures == 1  # an attempt was used all the same
    (scheduled,) = await smith.insert(delay=HOUR)
    again = await inspector.retry([scheduled, each[State.DEAD], each[State.RUNNING]], ACTOR)
    assert again == {
        scheduled: Answer.DONE,
        each[State.DEAD]: Answer.DONE,
        each[State.RUNNING]: Answer.RUNNING,
    }


async def test_replay_gives_all_attempts_back(
    smith: Jobsmith, inspector: LedgerInspector, queries: Queries
) -> None:
    (dead,) = await smith.die()
    async with queries.connection() as connection:
        xid = await connection.fetchval("SELECT xid::text FROM headrace.job WHERE id = $1", dead)
    gen = (await inspector.get(dead)).gen
    assert await inspector.replay([dead], ACTOR) == {dead: Answer.DONE}
    job = await inspector.get(dead)
    assert (job.state, job.gen, job.failures, job.error) == (State.AVAILABLE, gen + 1, 0, None)
    async with queries.connection() as connection:
        assert xid != await connection.fetchval(
            "SELECT xid::text FROM headrace.job WHERE id = $1", dead
        )
    events = await inspector.history(dead)
    assert [event.kind for event in events] == ["dead", "replay"]
    assert events[1].data is not None
    assert b"Boom" in bytes(events[1].data)
    await check_counters(inspector, queries)
    (delivery,) = await smith.claim()
    assert delivery.attempt == 1


async def test_a_double_click_replays_once(smith: Jobsmith, inspector: LedgerInspector) -> None:
    dead = await smith.die(40)
    async with Queries(smith.url) as more, Queries(smith.url) as again:
        clicks = [inspector, LedgerInspector(more), LedgerInspector(again)]
        answers = await asyncio.gather(*(one.replay(dead, ACTOR) for one in clicks))
    for job_id in dead:
        given = [answer[job_id] for answer in answers]
        assert given.count(Answer.DONE) == 1
        kinds = [event.kind for event in await inspector.history(job_id)]
        assert kinds.count("replay") == 1
    assert (await inspector.queue("main")).available == 40
    assert {job.gen for job in await smith.ledger.get(dead)} == {3}


async def test_delete_takes_history_and_key_along(
    smith: Jobsmith, inspector: LedgerInspector, queries: Queries
) -> None:
    job = smith.job(unique=Unique(key="once", for_="24h"))
    await smith.ledger.insert([job])
    assert await inspector.delete([job.id]) == {job.id: Answer.UNFIT}
    await inspector.cancel([job.id], ACTOR)
    assert await inspector.delete([job.id]) == {job.id: Answer.DONE}
    assert await inspector.history(job.id) == []
    with pytest.raises(JobNotFound):
        await inspector.get(job.id)
    again = smith.job(unique=Unique(key="once", for_="24h"))
    (inserted,) = await smith.ledger.insert([again])
    assert not inserted.duplicate
    await check_counters(inspector, queries)


async def test_bulk_goes_through_everything_in_steps(
    smith: Jobsmith, inspector: LedgerInspector, queries: Queries
) -> None:
    await smith.insert(1203)
    await smith.insert(3, queue="other")

    def cancel(ids: object) -> object:
        return inspector.cancel(ids, ACTOR)  # type: ignore[arg-type]

    wanted = JobFilter(queue="main").among(*WAITING)
    some = await change_matching(inspector, wanted, cancel, limit=3)  # type: ignore[arg-type]
    rest = await change_matching(inspector, wanted, cancel)  # type: ignore[arg-type]
    assert (some, rest) == ({Answer.DONE: 3}, {Answer.DONE: 1200})
    assert (await inspector.queue("other")).live == 3
    await check_counters(inspector, queries)


async def test_pause_and_create_queues(smith: Jobsmith, inspector: LedgerInspector) -> None:
    await smith.insert(1)
    assert await inspector.pause("main")
    assert not await inspector.pause("main")
    assert (await inspector.queue("main")).paused
    assert await smith.claim() == []
    assert await inspector.resume("main")
    assert not await inspector.resume("main")
    assert len(await smith.claim()) == 1
    assert await inspector.create_queue("new")
    assert not await inspector.create_queue("new")
    counts = await inspector.queue("new")
    assert isinstance(counts, QueueCounts)
    assert counts.live == 0
    with pytest.raises(UnknownQueue):
        await inspector.pause("no")
    with pytest.raises(UsageError, match="queue name"):
        await inspector.create_queue("not good")
