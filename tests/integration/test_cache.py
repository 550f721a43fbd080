"""`app.cache` against a real server."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot

from headrace import BadPayload, ConfigError, Headrace, UsageError
from headrace.cache import doctor
from headrace.cache.keys import Keys
from headrace.cache.redis import RedisStore
from headrace.embedded import EmbeddedValkey
from headrace.lanes.redis import keys as lane_keys
from headrace.model.caching import LIVES, CacheStats
from headrace.model.finding import Level
from headrace.ports.cache import CacheAway
from integration.served import until
from valkeys import PASSWORD, Valkey, cluster, sentinels


@dataclass
class Price:
    cents: int
    tags: tuple[str, ...] = ()


@pytest.fixture
def name() -> str:
    """Of an application that has nothing in its cache."""
    return f"tests-{uuid4().hex}"


@pytest.fixture
async def cached(migrated_url: str, redis_url: str, name: str) -> AsyncIterator[Headrace]:
    app = Headrace(name, database_url=migrated_url, cache_url=redis_url)
    async with app:
        yield app


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


class Maker:
    """Computes when it is told to, and counts."""

    def __init__(self, value: Any = 1) -> None:
        self.value = value
        self.calls = 0
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def __call__(self) -> Any:
        self.calls += 1
        self.begun.set()
        await self.may_end.wait()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def made(value: Any) -> Maker:
    maker = Maker(value)
    maker.may_end.set()
    return maker


async def test_values_are_kept_and_read_by_their_kind(cached: Headrace) -> None:
    prices = cached.cache.namespace("prices", Price, life="10m")
    assert await prices.get("a") is None
    await prices.set("a", Price(5, ("new",)))
    await prices.set_many({"b": Price(6), "c": Price(7)}, life="1h")
    again = cached.cache.namespace("prices", Price, life="10m")
    assert await again.get("a") == Price(5, ("new",))
    assert await again.get_many(["c", "a", "none", "a"]) == {
        "c": Price(7),
        "a": Price(5, ("new",)),
    }
    assert await prices.delete("a", "none")
    assert await prices.get_many(["a", "b"]) == {"b": Price(6)}
    assert await prices.invalidate()
    assert await again.get_many(["a", "b", "c"]) == {}


async def test_lives_are_those_of_the_names_and_keys_begin_with_the_application(
    cached: Headrace, server: Redis, name: str
) -> None:
    hours = {
        "tasks": 1.0,
        "users": 24,
        "projects": 6,
        "results": 48,
        "metrics": 1 / 12,
        "settings": 1,
    }
    assert {space: life / timedelta(hours=1) for space, life in LIVES.items()} == hours
    keys = Keys(name)
    for space, hour in hours.items():
        await cached.cache.namespace(space).set("k", [1])
        left = await server.pttl(keys.entry(space, "k"))
        assert hour * 3600 - 60 < left / 1000 <= hour * 3600
    await cached.cache.namespace("users").set("short", 1, life="50s")
    assert await server.pttl(keys.entry("users", "short")) <= 50_000
    assert keys.entry("users", "k").startswith(b"{headrace-cache:" + name.encode() + b"}/users/")


async def test_of_many_callers_one_computes(
    cached: Headrace, migrated_url: str, redis_url: str, name: str
) -> None:
    """Two processes' worth: each has connections of its own."""
    async with Headrace(name, database_url=migrated_url, cache_url=redis_url) as other:
        maker = Maker()
        spaces = [app.cache.namespace("s", int, life="10m") for app in (cached, other)]
        callers = [asyncio.create_task(spaces[n % 2].get_or_set("k", maker)) for n in range(40)]
        await maker.begun.wait()
        maker.may_end.set()
        assert await asyncio.gather(*callers) == [1] * 40
    assert maker.calls == 1


async def test_what_cannot_be_computed_is_raised_and_the_next_one_tries(cached: Headrace) -> None:
    space = cached.cache.namespace("s", int, life="10m")
    broken = Maker(ValueError("no price"))
    first = asyncio.create_task(space.get_or_set("k", broken))
    await broken.begun.wait()
    waiting = asyncio.create_task(space.get_or_set("k", made(2)))
    broken.may_end.set()
    with pytest.raises(ValueError, match="no price"):
        await first
    assert await waiting == 2


async def test_who_is_cancelled_while_it_computes_keeps_nobody(cached: Headrace) -> None:
    space = cached.cache.namespace("s", int, life="10m")
    maker = Maker()
    first = asyncio.create_task(space.get_or_set("k", maker))
    await maker.begun.wait()
    first.cancel()
    await asyncio.wait([first])
    assert await asyncio.wait_for(space.get_or_set("k", made(2)), 5) == 2


HOLDER = """
import asyncio, sys
from headrace import Headrace

async def computes():
    print("computes", flush=True)
    await asyncio.Event().wait()

async def main():
    async with Headrace(sys.argv[1], database_url=sys.argv[2], cache_url=sys.argv[3]) as app:
        await app.cache.namespace("s", int, life="10m", within="1s").get_or_set("k", computes)

asyncio.run(main())
"""


async def test_after_the_death_of_who_computes_others_go_on(
    cached: Headrace, migrated_url: str, redis_url: str, name: str
) -> None:
    command = (sys.executable, "-c", HOLDER, name, migrated_url, redis_url)
    holder = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"computes\n"
    holder.kill()
    await holder.wait()
    space = cached.cache.namespace("s", int, life="10m")
    makers = [made(7) for _ in range(5)]
    assert await asyncio.gather(*(space.get_or_set("k", maker) for maker in makers)) == [7] * 5
    assert sum(maker.calls for maker in makers) == 1


async def test_nobody_waits_longer_than_within(cached: Headrace) -> None:
    space = cached.cache.namespace("s", int, life="10m", within="200ms")
    store = cached.cache_store
    assert await store.claim("s", "k", b"another's", 60.0, 0.0)
    assert await space.get_or_set("k", made(3)) == 3
    assert await space.get("k") is None  # the claim is another's


async def test_near_its_end_one_computes_anew_while_others_get_the_old_value(
    cached: Headrace, server: Redis, name: str
) -> None:
    space = cached.cache.namespace("s", int, life="100s")
    await space.set("k", 1)
    key = Keys(name).entry("s", "k")
    assert await space.get_or_set("k", made(2)) == 1
    await server.pexpire(key, 9_000)
    maker = Maker(2)
    first = asyncio.create_task(space.get_or_set("k", maker))
    await maker.begun.wait()
    assert await space.get_or_set("k", made(3)) == 1
    maker.may_end.set()
    assert await first == 2
    assert await space.get("k") == 2
    assert await server.pttl(key) > 90_000


@pytest.mark.parametrize("end", ["invalidate", "delete"])
async def test_what_was_computed_before_is_not_kept_after(cached: Headrace, end: str) -> None:
    space = cached.cache.namespace("s", int, life="10m")
    maker = Maker()
    first = asyncio.create_task(space.get_or_set("k", maker))
    await maker.begun.wait()
    assert await (space.invalidate() if end == "invalidate" else space.delete("k"))
    maker.may_end.set()
    assert await first == 1
    assert await space.get("k") is None


async def test_an_evicted_version_takes_all_values_with_it(
    cached: Headrace, server: Redis, name: str
) -> None:
    space = cached.cache.namespace("s", int, life="10m")
    await space.set("k", 1)
    await server.delete(Keys(name).version("s"))
    assert await space.get("k") is None
    await space.set("k", 2)
    assert await space.get("k") == 2


async def test_values_of_another_release_are_forgotten(cached: Headrace) -> None:
    await cached.cache.namespace("s", life="10m").set("k", {"pounds": 5})
    prices = cached.cache.namespace("s", Price, life="10m")
    assert await prices.get("k") is None
    assert await prices.get_or_set("k", made(Price(5))) == Price(5)
    assert await prices.get("k") == Price(5)


async def test_what_is_missing_is_filled_by_one_call(cached: Headrace) -> None:
    space = cached.cache.namespace("s", int, life="10m")
    await space.set("a", 0)
    asked: list[list[str]] = []

    async def load(missing: list[str]) -> dict[str, int]:
        asked.append(missing)
        return {key: ord(key) for key in missing if key != "d"}

    assert await space.warm(["a", "b", "c", "d", "b"], load) == 2
    assert await space.get_many("abcd") == {"a": 0, "b": 98, "c": 99}
    assert await space.warm(["a", "b"], load) == 0
    assert asked == [["b", "c", "d"]]


async def test_hits_are_counted_for_all_processes(cached: Headrace) -> None:
    space = cached.cache.namespace("s", int, life="10m")
    assert (await space.stats()).rate == 0
    await space.get_or_set("a", made(1))
    await space.get_or_set("a", made(1))
    await space.get_many(["a", "b"])
    assert await space.stats() == CacheStats(hits=2, misses=2, computed=1)
    again = await cached.cache.namespace("s", int, life="10m").stats()
    assert (again.hits, again.rate) == (2, 0.5)


@pytest.mark.parametrize("value", [object(), float("nan"), "x" * (1 << 20), "no number"])
async def test_what_cannot_be_kept(
    cached: Headrace, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    space = cached.cache.namespace("s", float, life="10m")
    with pytest.raises(BadPayload, match="the value of the cache key 'k' in "):
        await space.set("k", value)
    assert await space.get_or_set("k", made(value)) is value
    assert "not kept: the value of the cache key" in caplog.text
    assert await space.get("k") is None


async def test_all_callers_get_the_same(cached: Headrace) -> None:
    """Who computes gets what others read: of plain JSON a list, not the tuple that it made."""
    space = cached.cache.namespace("s", life="10m")
    assert await space.get_or_set("k", made((1, 2))) == [1, 2] == await space.get("k")
    nothing = cached.cache.namespace("s", life="10m")
    none = made(None)
    assert await nothing.get_or_set("none", none) is await nothing.get_or_set("none", none) is None
    assert none.calls == 1


@pytest.mark.parametrize("key", ["", "x" * 501, "ä" * 251, "\ud800", 5])
async def test_keys_that_cannot_be(cached: Headrace, key: Any) -> None:
    space = cached.cache.namespace("s", life="10m")
    for call in (
        space.get(key),
        space.set(key, 1),
        space.delete(key),
        space.get_or_set(key, made(1)),
    ):
        with pytest.raises(UsageError, match="is no string of 1 to 500 bytes"):
            await call


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"name": "prices"}, 'the namespace "prices" needs a life, such as life="10m"'),
        ({"name": "a/b", "life": "1s"}, "namespace name 'a/b' is not allowed"),
        ({"name": "s", "life": "0s"}, "is not between"),
        ({"name": "s", "life": "31d"}, "is not between"),
        ({"name": "s", "life": 5}, "has no unit"),
        ({"name": "s", "life": "1s", "within": "0s"}, "leaves no time"),
        ({"name": "s", "life": "1s", "kind": 5}, "of a kind that cannot be read"),
    ],
)
def test_namespaces_that_cannot_be(given: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Headrace("tests").cache.namespace(**given)


async def test_without_a_server_configured(app: Headrace) -> None:
    with pytest.raises(ConfigError, match="no cache is configured; set HEADRACE_CACHE_URL"):
        await app.cache.namespace("users").get("a")
    with pytest.raises(UsageError, match="is not started in this process and event loop"):
        await Headrace("other", cache_url="redis://127.0.0.1:1").cache.namespace("users").get("a")


@pytest.mark.parametrize("url", ["http://localhost", "redis://localhost:99999", "redis://h/one"])
async def test_a_url_that_cannot_be(migrated_url: str, url: str) -> None:
    async with Headrace("tests", database_url=migrated_url, cache_url=url) as app:
        with pytest.raises(ConfigError, match=r"^the cache's URL "):
            await app.cache.namespace("users").get("a")
    (finding,) = await doctor.examine(url, None)
    assert finding.level is Level.FAIL


async def test_where_the_server_is_away_nothing_fails(
    migrated_url: str, valkey: EmbeddedValkey, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Headrace(name, database_url=migrated_url, cache_url=valkey.url) as app:
        space = app.cache.namespace("users", int)
        await space.set("a", 1)
        await asyncio.to_thread(valkey.kill)
        assert await space.get("a") is None
        assert await space.get_many(["a"]) == {}
        assert await space.get_or_set("a", made(2)) == 2
        await space.set("a", 3)
        assert not await space.delete("a")
        assert not await space.invalidate()
        assert await space.warm(["a"], no_load) == 0
        assert (await space.stats()).hits == 0
        warned = [one for one in caplog.records if one.levelno == logging.WARNING]
        assert len(warned) == 1
        await asyncio.to_thread(valkey.start)

        async def is_kept() -> bool:
            await space.set("a", 4)
            return await space.get("a") == 4

        await until(is_kept)


async def no_load(missing: list[str]) -> dict[str, int]:
    raise AssertionError(f"nothing is to be loaded: {missing}")


async def test_a_server_that_hangs_costs_a_second_and_then_nothing(
    migrated_url: str, valkey: EmbeddedValkey, name: str
) -> None:
    async with Headrace(name, database_url=migrated_url, cache_url=valkey.url) as app:
        space = app.cache.namespace("users", int)
        await space.set("a", 1)
        assert valkey.pid is not None
        os.kill(valkey.pid, signal.SIGSTOP)
        try:
            assert await asyncio.wait_for(space.get_or_set("a", made(2)), 10) == 2
        finally:
            os.kill(valkey.pid, signal.SIGCONT)


async def test_a_server_that_evicts_may_have_no_lane(valkey: EmbeddedValkey, name: str) -> None:
    url = valkey.url
    # A database beside that of the lane is evicted with it, and so is known by its run_id.
    beside = urlsplit(url)._replace(path="/1").geturl()

    async def said(cache_url: str, lane_url: str | None = None) -> tuple[str, Level]:
        """What the store says, which the doctor says, too."""
        store = RedisStore(cache_url, name, lane_url)
        (finding,) = await doctor.examine(cache_url, lane_url)
        try:
            await store.read("users", ("a",))
        except ConfigError as exc:
            return str(exc).replace(finding.text, "refused"), finding.level
        finally:
            await store.close()
        return "fine", finding.level

    refused, fine = ("refused", Level.FAIL), ("fine", Level.OK)
    async with Redis.from_url(url) as client:
        await client.config_set("maxmemory-policy", "allkeys-lru")
        assert await said(url) == fine
        assert await said(url, "redis://127.0.0.1:1") == fine
        assert await said(beside, url) == refused
        await client.hset(lane_keys.Keys(uuid4()).meta, "epoch", "1")
        assert await said(url) == refused
        await client.config_set("maxmemory-policy", "noeviction")
        assert await said(url) == fine
    (away,) = await doctor.examine("redis://127.0.0.1:1", None)
    assert away.level is Level.WARN


async def keeps(store: RedisStore) -> bool:
    """Whether it keeps a value, and who computes one."""
    try:
        version = (await store.read("s", ())).version
        await store.write("s", version, {"a": b"1"}, 60)
        claimed = await store.claim("s", "b", b"one", 5, 0)
        filled = await store.fill("s", version, "b", b"one", b"2", 60)
        found = (await store.read("s", ("a", "b"))).found
        await store.delete("s", ("a", "b"))
    except CacheAway:
        return False
    values = [None if one is None else one.value for one in found]
    return (claimed, filled, values) == (True, True, [b"1", b"2"])


async def outlives(url: str, primary: Valkey) -> None:
    store = RedisStore(url, "shop", None)
    assert await keeps(store)
    primary.kill()
    assert not await keeps(store)
    await until(lambda: keeps(store), 20.0)
    await store.close()


async def test_behind_sentinels(server_directory: Path) -> None:
    with sentinels(server_directory / "servers") as (primary, _, sentinel):
        await outlives(f"redis+sentinel://:{PASSWORD}@127.0.0.1:{sentinel.port}/main/0", primary)


async def test_in_a_cluster(server_directory: Path) -> None:
    slot = key_slot(Keys("shop").tag)
    with cluster(server_directory / "servers", slot) as (primaries, _):
        url = f"redis+cluster://:{PASSWORD}@127.0.0.1:{primaries[1].port}"
        await outlives(url, primaries[0])


def test_callers_without_an_event_loop(migrated_url: str, redis_url: str, name: str) -> None:
    app = Headrace(name, database_url=migrated_url, cache_url=redis_url)
    space = app.cache.namespace("s", int, life="10m")
    here: list[int] = []

    def make() -> int:
        here.append(threading.get_ident())
        return 5

    def load(missing: list[str]) -> dict[str, int]:
        here.append(threading.get_ident())
        return dict.fromkeys(missing, 6)

    try:
        assert space.get_sync("a") is None
        space.set_sync("a", 1)
        space.set_many_sync({"b": 2}, life="1h")
        assert space.get_many_sync(["a", "b"]) == {"a": 1, "b": 2}
        assert space.get_or_set_sync("c", make) == space.get_or_set_sync("c", make) == 5
        assert space.warm_sync(["c", "d"], load) == 1
        assert space.stats_sync().computed == 2
        assert space.delete_sync("a")
        assert space.invalidate_sync()
        assert space.get_many_sync("abcd") == {}
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(lambda _: space.get_or_set_sync("e", lambda: 9), range(20))) == {
                9
            }
    finally:
        app.stop_sync()
    assert here == [threading.get_ident()] * 2
