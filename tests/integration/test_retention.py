import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from headrace.errors import LedgerBusy, LedgerError
from headrace.ledger import pool, retention
from headrace.ledger.ids import first_id
from headrace.ledger.inspector import LedgerInspector
from headrace.ledger.queries import Queries
from headrace.ledger.retention import LedgerKeeper
from headrace.ledger.statements import statement
from headrace.model.state import State, Stored
from headrace.model.unique import Unique
from headrace.relay.keeper import Keeper
from integration.served import until
from jobsmith import Jobsmith

OLD = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=20)


@pytest.fixture
def keeper(queries: Queries) -> LedgerKeeper:
    return LedgerKeeper(queries)


async def execute(queries: Queries, sql: str, *parameters: object) -> None:
    async with queries.connection() as connection:
        await connection.execute(sql, *parameters)


async def value(queries: Queries, sql: str, *parameters: object) -> object:
    async with queries.connection() as connection:
        return await connection.fetchval(sql, *parameters)


async def age(
    queries: Queries, ids: list[UUID], when: datetime, *, settled: bool = True
) -> list[UUID]:
    """Make jobs as if they had been made at `when`, and settled then."""
    floor = first_id(when).int
    aged = [UUID(int=floor | (job_id.int & ((1 << 80) - 1))) for job_id in ids]
    for table, column in (("job", "id"), ("job_event", "job_id"), ("idempotency", "job_id")):
        await execute(
            queries,
            f"UPDATE headrace.{table} t SET {column} = v.new FROM unnest($1::uuid[], $2::uuid[]) "
            f"AS v (old, new) WHERE t.{column} = v.old",
            ids,
            aged,
        )
    if settled:
        await execute(
            queries,
            "UPDATE headrace.job SET settled_at = $2 "
            "WHERE id = ANY ($1) AND settled_at IS NOT NULL",
            aged,
            when,
        )
    return aged


async def add_day(queries: Queries, when: datetime) -> None:
    await execute(queries, "SELECT headrace.add_partition($1)", when.date())


async def table_of(queries: Queries, job_id: UUID) -> object:
    return await value(
        queries,
        "SELECT c.relname FROM headrace.job j JOIN pg_class c ON c.oid = j.tableoid WHERE id = $1",
        job_id,
    )


async def tables(queries: Queries) -> set[str]:
    async with queries.connection() as connection:
        rows = await connection.fetch(
            "SELECT relname FROM pg_class "
            "WHERE relnamespace = 'headrace'::regnamespace AND relkind = 'r'"
        )
    return {row["relname"] for row in rows}


async def check_counters(queries: Queries) -> None:
    wrong = await value(
        queries,
        "SELECT count(*) "
        "FROM (SELECT queue_id, state, count(*) AS n FROM headrace.job GROUP BY 1, 2) j "
        "FULL JOIN (SELECT queue_id, state, sum(n) AS n FROM (TABLE headrace.counter UNION ALL "
        "TABLE headrace.counter_delta) AS every GROUP BY 1, 2) c USING (queue_id, state) "
        "WHERE coalesce(j.n, 0) <> coalesce(c.n, 0)",
    )
    assert wrong == 0


async def test_partitions_are_added_ahead(keeper: LedgerKeeper, queries: Queries) -> None:
    today = datetime.now(UTC).date()
    assert await keeper.add_partitions(5) == [today + timedelta(days=n) for n in (4, 5)]
    assert await keeper.add_partitions(5) == []
    assert f"job_event_{today + timedelta(days=5):%Y%m%d}" in await tables(queries)


async def test_every_partition_is_tuned(keeper: LedgerKeeper, queries: Queries) -> None:
    days = await keeper.add_partitions(ahead=9)
    assert days
    async with queries.connection() as sql:
        tuned = await sql.fetch(
            "SELECT relname, reloptions FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace = 'headrace'::regnamespace "
            "AND relname ~ '^job_(event_)?(default|[0-9]+)$'"
        )
    options = {row["relname"]: set(row["reloptions"] or ()) for row in tuned}
    assert {f"job_{days[-1]:%Y%m%d}", "job_default", "job_event_default"} <= options.keys()
    for name, found in options.items():
        assert f"fillfactor={100 if 'event' in name else 80}" in found
        assert "autovacuum_vacuum_scale_factor=0.02" in found
        assert "autovacuum_vacuum_cost_delay=0" in found


async def test_a_day_that_began_in_default_stays_there(
    smith: Jobsmith, keeper: LedgerKeeper, queries: Queries
) -> None:
    ahead = datetime.now(UTC) + timedelta(days=4)
    (job_id,) = await age(queries, await smith.insert(), ahead)
    added = await keeper.add_partitions(5)
    assert ahead.date() not in added
    assert len(added) == 1
    assert await table_of(queries, job_id) == "job_default"


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
async def test_days_are_those_of_utc_whatever_the_zone_of_the_session(
    smith: Jobsmith, queries: Queries, zone: str
) -> None:
    noon = OLD + timedelta(days=32)
    (job,) = await smith.insert()
    await age(queries, [job], noon)
    async with queries.connection() as connection, connection.transaction():
        missing = [row["day"] for row in await connection.fetch(statement("days_missing"), 14)]
        await connection.execute(f"SET LOCAL timezone = '{zone}'")
        here = [row["day"] for row in await connection.fetch(statement("days_missing"), 14)]
    assert here == missing
    days = [OLD.date() + timedelta(days=n) for n in range(31, 34)]
    assert [day in missing for day in days] == [True, False, True]


async def test_to_read_a_day_may_take_longer_than_a_statement_of_a_job(
    smith: Jobsmith, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(name: str) -> str:
        text = statement(name)
        if name not in {"retire_partition", "drop_retired"}:
            return text
        slow = (
            "SELECT slow.answer FROM (SELECT pg_sleep(1)) AS first, LATERAL ({}) AS slow (answer)"
        )
        return slow.format(text.split("\n", 1)[1])

    monkeypatch.setattr(retention, "statement", slowly)
    monkeypatch.setattr(pool, "PATIENCE", 0.5)
    async with Queries(smith.url) as queries:
        await add_day(queries, OLD)
        (retired,) = await LedgerKeeper(queries).retire()
    assert retired.day == OLD.date()


async def test_an_old_day_is_retired_and_what_must_stay_stays(
    smith: Jobsmith, keeper: LedgerKeeper, queries: Queries
) -> None:
    inspector = LedgerInspector(queries)
    await add_day(queries, OLD)
    day = f"{OLD:%Y%m%d}"
    gone = await age(queries, await smith.complete(30), OLD)
    gone += await age(queries, (cancelled := await smith.insert(2)), OLD)
    await inspector.cancel(gone[-2:], "cli:tester")
    await execute(
        queries, "UPDATE headrace.job SET settled_at = $1 WHERE id = ANY ($2)", OLD, gone[-2:]
    )
    assert len(cancelled) == 2
    late = await age(queries, await smith.complete(), OLD, settled=False)
    dead = await age(queries, await smith.die(2), OLD)
    retryable = await age(queries, await smith.fail(), OLD)
    scheduled = await age(queries, await smith.insert(delay=timedelta(days=30)), OLD)
    running = await age(queries, await smith.insert(), OLD)
    claimed = await smith.claim()
    young = await smith.complete()
    stay = [*late, *dead, *retryable, *scheduled, *running]
    before = {job.id: job for job in await smith.ledger.get(stay)}
    assert await table_of(queries, dead[0]) == f"job_{day}"

    (retired,) = await keeper.retire()

    assert (retired.day, retired.moved, retired.dropped) == (OLD.date(), 6, 32)
    assert {job.id: job for job in await smith.ledger.get(stay)} == before
    assert await smith.ledger.get(gone) == []
    assert await table_of(queries, dead[0]) == "job_default"
    assert [event.kind for event in await inspector.history(dead[0])] == ["dead"]
    assert not {f"job_{day}", f"job_event_{day}"} & await tables(queries)
    await check_counters(queries)
    counts = await inspector.queue("main")
    assert (counts.completed, counts.cancelled, counts.dead) == (len(young) + 1, 0, 2)
    # Life goes on in DEFAULT.
    assert await smith.settle(claimed, Stored.COMPLETED) == {one.token for one in claimed}
    assert set((await inspector.replay(dead, "cli:tester")).values()) == {"done"}
    assert await keeper.retire() == []
    await check_counters(queries)


async def test_a_day_with_too_much_to_keep_is_postponed(smith: Jobsmith, queries: Queries) -> None:
    await add_day(queries, OLD)
    dead = await age(queries, await smith.die(3), OLD)
    (retired,) = await LedgerKeeper(queries, staying=2).retire()
    assert (retired.moved, retired.dropped) == (None, 0)
    assert await table_of(queries, dead[0]) == f"job_{OLD:%Y%m%d}"
    (retired,) = await LedgerKeeper(queries, staying=3).retire()
    assert (retired.moved, retired.dropped) == (3, 0)
    assert {job.state for job in await smith.ledger.get(dead)} == {State.DEAD}


async def test_a_keeper_that_dies_between_detach_and_drop_is_followed_up(
    smith: Jobsmith, keeper: LedgerKeeper, queries: Queries
) -> None:
    await add_day(queries, OLD)
    await age(queries, await smith.complete(4), OLD)
    (dead,) = await age(queries, await smith.die(), OLD)
    moved = await value(
        queries, "SELECT headrace.retire_partition($1, interval '7 days', 100)", OLD.date()
    )
    assert moved == 1
    (retired,) = await keeper.retire()
    assert retired.dropped == 4
    assert [job.id for job in await smith.ledger.get([dead])] == [dead]
    await check_counters(queries)


async def test_a_day_in_use_is_never_dropped(smith: Jobsmith, queries: Queries) -> None:
    (job_id,) = await smith.complete()
    with pytest.raises(LedgerError, match="in use"):
        await queries.fetch("drop_retired", datetime.now(UTC).date())
    assert await table_of(queries, job_id) is not None


async def test_a_long_reader_postpones_and_nobody_waits_long(
    smith: Jobsmith, keeper: LedgerKeeper, queries: Queries
) -> None:
    await add_day(queries, OLD)
    await age(queries, await smith.complete(), OLD)
    reader = await asyncpg.connect(smith.url)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT FROM headrace.job")
            with pytest.raises(LedgerBusy):
                await keeper.retire()
            await keeper.maintain()  # leaves it for the next round
        assert len(await keeper.retire()) == 1
    finally:
        await reader.close()


async def test_a_keeper_that_comes_second_finds_the_day_gone(
    smith: Jobsmith, queries: Queries
) -> None:
    await add_day(queries, OLD)
    await queries.fetch("retire_partition", OLD, 7 * 86400.0, 10)
    table = f"headrace.job_{OLD:%Y%m%d}"
    async with Queries(smith.url) as more, more.connection() as second:
        async with second.transaction():  # it looks at the table, and its plans are made
            assert await second.fetchval(statement("lock_upkeep"))
            assert await second.fetchval("SELECT to_regclass($1)", table)
            assert await second.fetchval(statement("drop_retired"), OLD + timedelta(days=1)) == 0
        async with second.transaction():
            async with queries.transaction(lock_timeout="1s") as first:
                assert await first.fetchval(statement("lock_upkeep"))
                assert await first.fetchval(statement("drop_retired"), OLD) == 0
            assert await second.fetchval(statement("lock_upkeep"))
            assert await second.fetchval(statement("drop_retired"), OLD) == 0


async def test_traffic_goes_on_while_days_are_retired_by_two_keepers(
    smith: Jobsmith, keeper: LedgerKeeper, queries: Queries
) -> None:
    days = [OLD - timedelta(days=n) for n in range(6)]
    for day in days:
        await add_day(queries, day)
        await age(queries, await smith.complete(200), day)
        await age(queries, await smith.die(5), day)
    live = [one for day in days for one in await age(queries, await smith.insert(40), day)]
    done: set[UUID] = set()
    stop = asyncio.Event()
    inserted: list[UUID] = []

    async def work() -> None:
        while not stop.is_set() or len(done) < len(live) + len(inserted):
            deliveries = await smith.claim(7)
            accepted = await smith.settle(deliveries, Stored.COMPLETED)
            assert accepted == {one.token for one in deliveries}
            done.update(one.id for one in deliveries)

    async def produce() -> None:
        while not stop.is_set():
            inserted.extend(await smith.insert(5))

    async def retire(keeper: LedgerKeeper) -> None:
        for _ in range(50):
            try:
                await keeper.retire()
            except LedgerBusy:
                continue
            if not await queries.fetch("days_retired", 7 * 86400.0):
                return
        raise AssertionError("the days could not be retired under load")

    async with Queries(smith.url) as more, asyncio.TaskGroup() as group:
        group.create_task(work())
        group.create_task(produce())
        keepers = [
            group.create_task(retire(keeper)),
            group.create_task(retire(LedgerKeeper(more))),
        ]
        await asyncio.wait(keepers)
        stop.set()
    assert done == {*live, *inserted}
    counts = await LedgerInspector(queries).queue("main")
    assert (counts.live, counts.dead) == (0, 30)
    assert counts.completed == len(done)
    await check_counters(queries)


async def test_default_is_swept_in_steps(
    smith: Jobsmith, keeper: LedgerKeeper, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.ledger.retention._STEP", 10)
    await age(queries, await smith.complete(35), OLD)
    stay = await age(queries, await smith.die(2), OLD)
    stay += await age(queries, await smith.complete(), OLD, settled=False)
    assert await keeper.sweep_default() == 35
    assert len(await smith.ledger.get(stay)) == 3
    await check_counters(queries)


async def test_expired_keys_are_pruned(
    smith: Jobsmith, keeper: LedgerKeeper, queries: Queries
) -> None:
    await smith.ledger.insert(
        [smith.job(unique=Unique(key=key, for_="24h")) for key in ("old", "new")]
    )
    await execute(
        queries,
        "UPDATE headrace.idempotency SET until = now() - interval '1 s' WHERE job_id = "
        "(SELECT job_id FROM headrace.idempotency ORDER BY job_id LIMIT 1)",
    )
    assert await keeper.prune_keys() == 1
    assert await value(queries, "SELECT count(*) FROM headrace.idempotency") == 1


async def test_one_round_does_everything(
    smith: Jobsmith, keeper: LedgerKeeper, queries: Queries
) -> None:
    await add_day(queries, OLD)
    await age(queries, await smith.complete(3), OLD)
    await keeper.maintain()
    assert await value(queries, "SELECT sum(n) FROM headrace.counter WHERE state = 2") == 3
    assert f"job_{OLD:%Y%m%d}" not in await tables(queries)
    await keeper.maintain()
    assert await value(queries, "SELECT sum(n) FROM headrace.counter WHERE state = 2") == 0
    await check_counters(queries)


async def test_a_keeper_stops_though_a_statement_of_its_round_takes_long(
    smith: Jobsmith, queries: Queries
) -> None:
    async def waits() -> bool:
        return bool(
            await value(
                queries,
                "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND datname = current_database() AND query ILIKE '%counter_delta%'",
            )
        )

    keeper = Keeper(smith.ledger).loop
    async with queries.connection() as connection, connection.transaction():
        await connection.execute("LOCK TABLE headrace.counter_delta IN ACCESS EXCLUSIVE MODE")
        keeper.start()
        await until(waits, 20)
        async with asyncio.timeout(10):
            await keeper.stop()
