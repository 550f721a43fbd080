"""The lane checked against the ledger: each damage is found, what only moves is not."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from headrace import Headrace
from headrace.cli.root import app as cli
from headrace.lanes.redis.census import RedisCensus
from headrace.lanes.redis.keys import Keys
from headrace.lanes.redis.lane import RedisLane
from headrace.ledger.lane_ledger import PostgresLaneLedger
from headrace.ledger.queries import Queries
from headrace.model.check import Verdict
from headrace.model.job import Delivery
from headrace.model.lane_view import Mode
from headrace.model.state import Stored
from headrace.ports.census import Record
from headrace.ports.lane_ledger import Claimed, LaneLedger
from headrace.relay.audit import audit
from headrace.relay.services import services
from headrace.relay.switch import switch_off
from headrace.worker.worker import Worker
from jobsmith import HOUR, Jobsmith, smith_at

LEASE = 1.0
PATIENCE = 0.3


class HealingCensus(RedisCensus):
    """Lets what heals by itself do so between the first look and the second."""

    heal: Callable[[], Awaitable[object]] | None = None

    async def epoch(self) -> int | None:
        seen = await super().epoch()
        if seen is None:
            await self._heal()
        return seen

    async def present(self, epoch: int, ids: Sequence[UUID]) -> list[Record]:
        await self._heal()
        return await super().present(epoch, ids)

    async def _heal(self) -> None:
        if self.heal is not None:
            await self.heal()
            self.heal = None


@dataclass(frozen=True)
class Site:
    """A ledger and a lane in hybrid mode: two ready jobs, one delayed, one leased."""

    smith: Jobsmith
    lane: RedisLane
    census: "HealingCensus"
    redis: Redis
    epoch: int
    keys: Keys
    ready: UUID
    held: Delivery

    @property
    def ledger(self) -> LaneLedger:
        return self.smith.ledger.lanes

    async def audit(self, *, repair: bool = False) -> list[Verdict]:
        return await audit(self.ledger, self.census, patience=PATIENCE, repair=repair)

    async def breaches(self) -> dict[str, list[str]]:
        verdicts = await self.audit()
        return {
            one.check.name: [breach.detail for breach in one.breaches]
            for one in verdicts
            if one.breaches
        }

    async def execute(self, sql: str) -> None:
        async with Queries(self.smith.url) as queries, queries.connection() as connection:
            await connection.execute(sql)


async def put(ledger: LaneLedger, lane: RedisLane, ids: Sequence[UUID]) -> None:
    view = await ledger.view()
    standings = await ledger.standing(ids, view)
    entries = [standings[one].entry for one in ids]
    await lane.put(view.epoch, [one for one in entries if one is not None])


@pytest.fixture
async def site(migrated_url: str, lane_url: str) -> AsyncIterator[Site]:
    lane = RedisLane(lane_url, lease=LEASE * 60)
    census = HealingCensus(lane_url, lease=LEASE)
    async with smith_at(migrated_url) as smith, Redis.from_url(lane_url) as client:
        lanes = smith.ledger.lanes
        view = await lanes.switch((await lanes.view()).epoch, Mode.REBUILD, held=False)
        assert view is not None
        lane.belong_to(view.ledger)
        census.belong_to(view.ledger)
        await lane.open_epoch(view.epoch, grace=0)
        await lanes.fence(view.epoch, Mode.HYBRID)
        first, ready, other = await smith.insert(3)
        (later,) = await smith.insert(delay=HOUR)
        await lane.beat(view.epoch, smith.worker, (), 0)
        await put(lanes, lane, [first, ready, other, later])
        (held,) = (await lane.take(view.epoch, smith.worker, "main", 1, 1)).deliveries
        yield Site(smith, lane, census, client, view.epoch, Keys(view.ledger), ready, held)
        await census.close()
        await lane.close()


async def test_a_lane_that_is_well(site: Site) -> None:
    verdicts = await site.audit()
    assert [one.check.name for one in verdicts] == ["lane epoch", "lane entries", "lane places"]
    assert [one.breaches for one in verdicts] == [()] * 3
    assert len(await site.census.records(site.epoch)) == 4


async def test_nothing_is_checked_while_the_ledger_gives_out(site: Site) -> None:
    await switch_off(site.ledger, site.lane)
    assert await site.audit() == []


async def test_many_entries_are_all_read(site: Site) -> None:
    ids = await site.smith.insert(2000)
    await put(site.ledger, site.lane, ids)
    assert {one.id for one in await site.census.records(site.epoch)} >= set(ids)
    assert await site.breaches() == {}


# 9: the epoch


async def flush(site: Site) -> None:
    await site.redis.flushall()


async def another_epoch(site: Site) -> None:
    await site.lane.open_epoch(site.epoch + 1)


async def another_life(site: Site) -> None:
    await site.redis.hset(site.keys.meta.decode(), "epoch", f"{site.epoch}:{'0' * 40}")


@pytest.mark.parametrize("damage", [flush, another_epoch, another_life])
async def test_an_epoch_that_is_not_the_ledgers(
    damage: Callable[[Site], Awaitable[None]], site: Site
) -> None:
    await damage(site)
    (name,) = await site.breaches()
    assert name == "lane epoch"


async def test_a_lane_that_is_opened_meanwhile_is_well(site: Site) -> None:
    await site.redis.flushall()
    site.census.heal = lambda: site.lane.open_epoch(site.epoch, grace=0)
    assert await site.breaches() == {}


async def test_a_lane_that_is_away_is_a_breach(site: Site) -> None:
    census = RedisCensus("redis://127.0.0.1:1", lease=LEASE)
    (verdict,) = await audit(site.ledger, census, patience=PATIENCE, repair=False)
    assert "cannot be reached" in verdict.breaches[0].detail


# 6: what the lane carries is live, at its generation


ENTRY_DAMAGES = [
    ("UPDATE headrace.job SET state = 4 WHERE id = '{ready}'", "the job is cancelled"),
    ("UPDATE headrace.job SET state = 2 WHERE id = '{held}'", "the job is completed"),
    ("UPDATE headrace.job SET gen = gen + 1 WHERE id = '{ready}'", "is at generation 2"),
    ("UPDATE headrace.job SET gen = gen - 1 WHERE id = '{held}'", "only at generation 0"),
    ("DELETE FROM headrace.job WHERE id = '{ready}'", "there is no such job"),
]


@pytest.mark.parametrize(("sql", "words"), ENTRY_DAMAGES)
async def test_an_entry_that_the_lane_should_not_carry(sql: str, words: str, site: Site) -> None:
    await site.execute(sql.format(ready=site.ready, held=site.held.id))
    ((name, details),) = (await site.breaches()).items()
    assert (name, len(details)) == ("lane entries", 1)
    assert words in details[0]


@pytest.mark.parametrize(("sql", "words"), ENTRY_DAMAGES)
async def test_repair_drops_it(sql: str, words: str, site: Site) -> None:
    del words
    await site.execute(sql.format(ready=site.ready, held=site.held.id))
    entries = (await site.audit(repair=True))[1]
    assert (entries.breaches, entries.repaired) == ((), True)
    assert len(await site.census.records(site.epoch)) == 3
    assert (await site.audit())[1] == Verdict(entries.check, ())


async def test_an_outcome_that_the_lane_hears_of_a_moment_later_is_no_breach(site: Site) -> None:
    await site.smith.settle([site.held], Stored.COMPLETED)
    site.census.heal = lambda: site.lane.ack(site.epoch, site.smith.worker, [site.held])
    assert await site.breaches() == {}
    assert site.census.heal is None


async def test_a_last_attempt_that_the_ledger_claimed_is_no_breach(site: Site) -> None:
    claimed = await site.ledger.claim_known(site.smith.worker, 2, [site.held.token])
    assert claimed == {site.held.id: Claimed(site.held.gen + 1, None)}
    assert await site.breaches() == {}


# 7: what the lane carries is in one place


async def lose_ready(site: Site) -> None:
    await site.redis.lpop(site.keys.ready("main")[4].decode())


async def lose_delayed(site: Site) -> None:
    await site.redis.delete(site.keys.delayed("main").decode())


async def lose_leased(site: Site) -> None:
    await site.redis.delete(site.keys.held(site.smith.worker.bytes).decode())


async def double_ready(site: Site) -> None:
    ready = site.keys.ready("main")[4].decode()
    for token in (await site.redis.lrange(ready, 0, -1))[:1]:
        await site.redis.rpush(ready, token)


async def ready_and_leased(site: Site) -> None:
    (record,) = await site.census.present(site.epoch, [site.held.id])
    await site.redis.rpush(site.keys.ready("main")[4].decode(), record.id.bytes + record.place)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lose_ready, "it is in no place"),
        (lose_delayed, "it is in no place"),
        (lose_leased, "it is in no place"),
        (double_ready, "it is in 2 places"),
        (ready_and_leased, "it is in 2 places"),
    ],
)
async def test_a_place_that_is_lost_or_doubled(
    damage: Callable[[Site], Awaitable[None]], words: str, site: Site
) -> None:
    await damage(site)
    assert await site.breaches() == {"lane places": [words]}


async def test_a_stale_token_is_no_place(site: Site) -> None:
    await site.lane.release(site.epoch, site.smith.worker, [site.held])
    await site.redis.rpush(site.keys.ready("main")[4].decode(), site.held.id.bytes + b"another")
    assert await site.breaches() == {}


# All of it, in use


async def test_a_lane_in_use_is_well(migrated_url: str, lane_url: str) -> None:
    app = Headrace("tests", database_url=migrated_url, redis_url=lane_url, lease=f"{LEASE}s")
    runs = 0

    @app.task(queue="work")
    async def work(number: int) -> None:
        nonlocal runs
        runs += 1
        if number % 50 == 0 and runs < 3000:
            raise ValueError(number)

    async with app:
        loops = services(app.engine, lease=LEASE)
        for loop in loops:
            loop.start()
        worker = Worker(app, {"work": 20})
        await worker.start()
        jobs = [await app.enqueue_many([work.job(n) for n in range(500)]) for _ in range(4)]
        async with Queries(migrated_url) as queries:
            ledger = PostgresLaneLedger(queries)
            census = RedisCensus(lane_url, lease=LEASE)
            judged = 0
            while runs < 2000 or not judged:
                verdicts = await audit(ledger, census, patience=2 * LEASE, repair=False)
                assert [one.breaches for one in verdicts] == [()] * len(verdicts)
                judged += len(verdicts) == 3
            await census.close()
        assert len(jobs) == 4
        await worker.stop()
        await asyncio.gather(*(loop.stop() for loop in loops))


async def test_the_command(site: Site, lane_url: str) -> None:
    async def verify(redis_url: str | None) -> tuple[int, str, str]:
        environment = {
            "HEADRACE_DATABASE_URL": site.smith.url,
            "HEADRACE_REDIS_URL": redis_url,
            "HEADRACE_LEASE": "1s",
        }
        runner = CliRunner(env=environment)
        result = await asyncio.to_thread(runner.invoke, cli, ["verify", "--json"])
        return result.exit_code, result.stdout, result.stderr

    await site.execute("UPDATE headrace.worker SET lease = 1")
    await site.lane.ack(site.epoch, site.smith.worker, [site.held])
    status, out, _ = await verify(lane_url)
    names = [one["check"]["name"] for one in json.loads(out)["checks"]]
    assert (status, names[-3:]) == (0, ["lane epoch", "lane entries", "lane places"])
    status, out, err = await verify(None)
    assert (status, "lane" in out, "HEADRACE_REDIS_URL is not set" in err) == (0, False, True)
    await lose_ready(site)
    assert (await verify(lane_url))[0] == 1
