"""What the doctor says of the lane's server, well and ill."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from headrace.cli.root import app
from headrace.embedded import EmbeddedValkey
from headrace.lanes.redis.doctor import Told, examine, unconfigured
from headrace.lanes.redis.lane import RedisLane
from headrace.model.finding import Finding, Level
from headrace.model.lane_view import LaneView, Mark, Mode
from headrace.testing.lanes.rig import entry

LEDGER = UUID("0a0b0c0d" * 4)
HYBRID = LaneView(3, Mode.HYBRID, ledger=LEDGER, mark=Mark(7, UUID(int=7)))


@pytest.fixture
async def lane(valkey: EmbeddedValkey) -> AsyncIterator[RedisLane]:
    lane = RedisLane(valkey.url)
    lane.belong_to(LEDGER)
    await lane.open_epoch(HYBRID.epoch, grace=0)
    await lane.mark(HYBRID.epoch, HYBRID.mark)
    yield lane
    await lane.close()


@pytest.fixture
async def client(valkey: EmbeddedValkey) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey.url) as client:
        yield client


async def look(
    url: str, view: LaneView | None = HYBRID, ledger_ahead: float = 0.0
) -> dict[str, Finding]:
    return {one.name: one for one in await examine(url, telling(view, ahead=ledger_ahead))}


def telling(*views: LaneView | None, ahead: float = 0.0) -> Told:
    """A ledger that tells these, one after the other, and the last one from then on."""
    left = list(views)

    async def told() -> tuple[LaneView | None, float]:
        return (left.pop(0) if len(left) > 1 else left[0]), ahead

    return told


async def test_a_lane_that_is_well(lane: RedisLane, valkey: EmbeddedValkey) -> None:
    worker = uuid4()
    await lane.beat(3, worker, (), 0)
    await lane.put(3, [entry() for _ in range(5)] + [entry(delay=60, queue="later")])
    assert len((await lane.take(3, worker, "mail", 1, 2)).deliveries) == 2
    found = await look(valkey.url)
    assert {one.level for one in found.values()} == {Level.OK}
    assert found["lane server"].text.startswith("Valkey ")
    assert str(urlsplit(valkey.url).password) not in str(found)
    assert found["lane epoch"].text == "3, as in the ledger"
    assert found["lane jobs"].text == "3 ready, 1 delayed, 2 leased"


async def test_a_mark_that_is_left_meanwhile_is_no_strangers(
    lane: RedisLane, valkey: EmbeddedValkey
) -> None:
    """The ledger has it first, the lane has it by the look, and the doctor had asked before."""
    later = HYBRID._replace(mark=Mark(HYBRID.mark.tide + 1, uuid4()))
    await lane.mark(HYBRID.epoch, later.mark)
    found = {one.name: one for one in await examine(valkey.url, telling(HYBRID, later))}
    assert found["lane ledger"].level is Level.OK


async def test_an_evicting_server_fails_with_its_fix(valkey: EmbeddedValkey, client: Redis) -> None:
    await client.config_set("maxmemory-policy", "allkeys-lru")
    policy = (await look(valkey.url))["lane policy"]
    assert policy.level is Level.FAIL
    assert "allkeys-lru" in policy.text
    assert "noeviction" in policy.fix


async def test_memory_is_compared_with_its_bound(valkey: EmbeddedValkey, client: Redis) -> None:
    assert "without maxmemory" in (await look(valkey.url))["lane memory"].text
    await client.config_set("maxmemory", "100mb")
    memory = (await look(valkey.url))["lane memory"]
    assert (memory.level, "of 100.0" in memory.text) == (Level.OK, True)
    await client.config_set("maxmemory", "1mb")
    assert (await look(valkey.url))["lane memory"].level is Level.WARN


async def test_clocks_that_stand_apart(valkey: EmbeddedValkey) -> None:
    clock = (await look(valkey.url, ledger_ahead=60.0))["lane clock"]
    assert (clock.level, "-60.0 s" in clock.text) == (Level.WARN, True)


@pytest.mark.usefixtures("lane")
async def test_an_epoch_that_is_not_the_ledgers(valkey: EmbeddedValkey) -> None:
    epoch = (await look(valkey.url, HYBRID._replace(epoch=4)))["lane epoch"]
    assert (epoch.level, "the ledger is at 4" in epoch.text) == (Level.FAIL, True)
    valkey.stop()
    valkey.start()
    epoch = (await look(valkey.url))["lane epoch"]
    assert (epoch.level, "last start" in epoch.text) == (Level.FAIL, True)


async def test_a_lane_that_knows_more_than_the_ledger(
    lane: RedisLane, valkey: EmbeddedValkey
) -> None:
    assert (await look(valkey.url))["lane ledger"].text == "0a0b0c0d, in every key of the lane"
    for restored in (
        HYBRID._replace(epoch=2),
        HYBRID._replace(mark=Mark(6, UUID(int=6))),
        HYBRID._replace(mark=Mark(7, UUID(int=6))),
    ):
        found = await look(valkey.url, restored)
        ledger = found["lane ledger"]
        assert "lane epoch" not in found  # which would be another word for the same
        assert (ledger.level, "never did" in ledger.text) == (Level.FAIL, True)
    await lane.mark(HYBRID.epoch, Mark(8, UUID(int=8)))
    assert (await look(valkey.url))["lane ledger"].level is Level.FAIL


async def test_lanes_of_other_ledgers_are_told_once_they_lie_idle(
    lane: RedisLane, valkey: EmbeddedValkey, client: Redis
) -> None:
    lane.belong_to(UUID("abcdef01" * 4))
    await lane.open_epoch(1, grace=0)
    assert "lane of another" not in await look(valkey.url)
    await client.hset("{headrace:abcdef01}:meta", "clock", 0)
    other = (await look(valkey.url))["lane of another"]
    assert (other.level, "abcdef01" in other.text) == (Level.WARN, True)
    assert "'{headrace:abcdef01}:*'" in other.fix


@pytest.mark.usefixtures("lane")
async def test_a_flushed_lane(valkey: EmbeddedValkey, client: Redis) -> None:
    await client.flushall()
    epoch = (await look(valkey.url))["lane epoch"]
    assert (epoch.level, epoch.text.startswith("none")) == (Level.FAIL, True)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (LaneView(3, Mode.REBUILD), "rebuild"),
        (LaneView(3, Mode.DIRECT), "until a worker with HEADRACE_REDIS_URL"),
        (LaneView(3, Mode.DIRECT, held=True), "by command"),
    ],
)
async def test_other_modes_are_told(view: LaneView, words: str, valkey: EmbeddedValkey) -> None:
    found = await look(valkey.url, view)
    assert (found["lane mode"].level, words in found["lane mode"].text) == (Level.WARN, True)
    assert "lane epoch" not in found


async def test_without_a_ledger_only_the_server_is_judged(valkey: EmbeddedValkey) -> None:
    assert list(await look(valkey.url, None)) == ["lane server", "lane policy", "lane memory"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://:secret@127.0.0.1:1", "127.0.0.1:1 cannot be reached"),
        ("redis://:sec/ret@127.0.0.1:1", "write redis://"),
        ("memcached://:secret@h", "write redis://"),
    ],
)
async def test_a_server_that_is_not_there(url: str, words: str) -> None:
    (finding,) = await examine(url, telling(HYBRID))
    assert finding.level is Level.FAIL
    assert words in finding.text
    assert "sec" not in finding.text.replace("seconds", "")


async def test_a_wrong_password_is_not_told(valkey: EmbeddedValkey) -> None:
    wrong = valkey.url.replace(f":{urlsplit(valkey.url).password}@", ":wrong@")
    (finding,) = await examine(wrong, telling(HYBRID))
    assert "refused user or password" in finding.text
    assert "wrong" not in finding.text


def test_a_lane_without_its_url_is_noticed() -> None:
    assert unconfigured(None) == unconfigured(LaneView(3, Mode.DIRECT)) == []
    (finding,) = unconfigured(HYBRID)
    assert finding.level is Level.WARN


@dataclass(frozen=True)
class Doctor:
    """The command, as a person gives it."""

    database_url: str
    redis_url: str | None

    def __call__(self) -> tuple[int, dict[str, dict[str, str]]]:
        runner = CliRunner(
            env={"HEADRACE_DATABASE_URL": self.database_url, "HEADRACE_REDIS_URL": self.redis_url}
        )
        result = runner.invoke(app, ["doctor", "--json"])
        findings = json.loads(result.stdout)["findings"]
        return result.exit_code, {one["name"]: one for one in findings}


def test_the_command(migrated_url: str, valkey: EmbeddedValkey) -> None:
    status, found = Doctor(migrated_url, valkey.url)()
    assert (status, found["lane mode"]["level"]) == (0, "warn")
    status, found = Doctor(migrated_url, None)()
    assert (status, [name for name in found if name.startswith("lane")]) == (0, [])
    password = str(urlsplit(valkey.url).password)
    valkey.stop()
    status, found = Doctor(migrated_url, valkey.url)()
    assert (status, found["lane server"]["level"]) == (1, "fail")
    assert password not in str(found)
