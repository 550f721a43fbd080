"""What is Redis's own: its restarts, its losses, its refusals."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from headrace.embedded.valkey import EmbeddedValkey
from headrace.errors import ConfigError, LaneUnavailable, LaneUnsafe, WrongEpoch
from headrace.lanes.redis.keys import Keys
from headrace.lanes.redis.lane import RedisLane
from headrace.model.entry import Body, LaneEntry, PutReply, pack_body
from headrace.testing.lanes.rig import EPOCH, LEASE, QUEUE, Rig, entry
from headrace.testing.lanes.rigs import redis_rig
from lanes import a_replica, without_disk, without_replicas


@pytest.fixture
async def rig(valkey: EmbeddedValkey) -> AsyncIterator[Rig]:
    async with redis_rig(valkey.url) as rig:
        await rig.begin()
        yield rig


@pytest.fixture
async def client(valkey: EmbeddedValkey) -> AsyncIterator[Redis]:
    client = Redis.from_url(valkey.url)
    yield client
    await client.aclose()


def keys_of(rig: Rig) -> Keys:
    assert isinstance(rig.lane, RedisLane)
    return rig.lane._keys


async def test_scripts_that_the_server_forgot_are_sent_again(rig: Rig, client: Redis) -> None:
    await client.script_flush()
    assert await rig.put(entry()) == [PutReply.STORED]
    await client.script_flush()
    assert len(await rig.take()) == 1


async def test_after_a_restart_the_epoch_that_survived_is_refused(
    rig: Rig, valkey: EmbeddedValkey
) -> None:
    await rig.put(entry())
    valkey.stop()
    with pytest.raises(LaneUnavailable, match="cannot be reached"):
        await rig.put(entry())
    valkey.start()
    assert await rig.lane.epoch() is None
    with pytest.raises(WrongEpoch):
        await rig.take()
    await rig.lane.open_epoch(EPOCH + 1, grace=0)
    assert await rig.lane.put(EPOCH + 1, [entry()]) == [PutReply.STORED]


async def test_after_a_flush_every_call_is_refused(rig: Rig, client: Redis) -> None:
    await rig.put(entry())
    await client.flushall()
    with pytest.raises(WrongEpoch, match="none"):
        await rig.put(entry())


async def test_places_without_entries_are_passed_over(rig: Rig, client: Redis) -> None:
    one = entry()
    await rig.put(one, entry(delay=1))
    held = await rig.take()
    await rig.put(entry())
    await client.delete(keys_of(rig).jobs.decode())
    await rig.pass_time(1)
    assert await rig.take() == []
    assert (await rig.beat(rig.ann, held)).lost == {one.token for one in held}
    assert await rig.put(one) == [PutReply.STORED]


async def test_entries_without_places_make_the_lane_unsound(rig: Rig, client: Redis) -> None:
    await rig.put(entry())
    assert await rig.lane.sound(EPOCH)
    await client.delete(*(key.decode() for key in keys_of(rig).ready(QUEUE)))
    assert not await rig.lane.sound(EPOCH)


async def test_a_worker_and_a_queue_that_come_meanwhile_do_not_make_the_lane_unsound(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.put(entry())
    assert isinstance(rig.lane, RedisLane)
    run, new, asked = rig.lane._run, uuid4(), 0

    async def run_after_others(name: str, *rest: Any) -> Any:
        nonlocal asked
        asked += name == "sound"
        if name == "sound" and asked == 1:
            await rig.beat(new)
            assert len(await rig.take(worker=new)) == 1
        if name == "sound" and asked == 2:
            await rig.put(entry(queue="another"))
        return await run(name, *rest)

    monkeypatch.setattr(rig.lane, "_run", run_after_others)
    assert await rig.lane.sound(EPOCH)
    assert asked == 3


async def test_a_step_back_of_the_clock_expires_and_delays_nothing(rig: Rig) -> None:
    await rig.put(entry(), entry(delay=2))
    await rig.take()
    await rig.lane.expired(EPOCH, 0)
    await rig.pass_time(-3600)
    assert await rig.lane.expired(EPOCH, 10) == []
    for _ in range(4):
        await rig.pass_time(LEASE / 3 - 0.5)
        await rig.beat(rig.bob, answered=0)
    assert len(await rig.lane.expired(EPOCH, 10)) == 1, "only the hour is left out"
    assert [one.flagged for one in await rig.take(worker=rig.bob)] == [True]


async def test_no_wrong_password_is_tried_twice(valkey: EmbeddedValkey) -> None:
    wrong = valkey.url.replace(f":{urlsplit(valkey.url).password}@", ":wrong@")
    with pytest.raises(LaneUnavailable, match="refused user or password") as caught:
        await RedisLane(wrong).open()
    assert "wrong@" not in str(caught.value)


async def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(LaneUnavailable, match=r"127\.0\.0\.1:1 cannot be reached"):
        await RedisLane("redis://:secret@127.0.0.1:1").open()


async def test_a_url_of_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match="URL"):
        RedisLane("http://127.0.0.1")


async def test_a_url_that_cannot_be_read_tells_nothing_of_its_password() -> None:
    url = "redis://:secr/et@127.0.0.1:6379"
    with pytest.raises(ConfigError, match="percent-encode ") as refusal:
        RedisLane(url)
    assert "secr" not in "".join(traceback.format_exception(refusal.value))


async def test_a_silent_server_is_given_up(unused_server: str) -> None:
    with pytest.raises(LaneUnavailable, match="in time"):
        await RedisLane(unused_server, timeout=0.1).open()


@pytest.fixture
async def unused_server() -> AsyncIterator[str]:
    """The URL of a server that accepts connections and says nothing."""
    over = asyncio.Event()

    async def listen(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    over.set()
    server.close()
    await server.wait_closed()


async def test_an_evicting_server_is_refused(valkey: EmbeddedValkey, client: Redis) -> None:
    await client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(LaneUnsafe, match="allkeys-lru"):
        await RedisLane(valkey.url).open()


@pytest.mark.parametrize("fault", [a_replica, without_replicas, without_disk])
async def test_a_server_that_takes_no_writes_answers_no_worker(
    rig: Rig,
    valkey: EmbeddedValkey,
    fault: Callable[[EmbeddedValkey], AbstractContextManager[None]],
) -> None:
    """Whatever it answered would be a sign that it is well."""
    lane = rig.lane
    with fault(valkey):
        for call in (
            lane.probe,
            rig.beat_all,
            rig.take,
            lambda: lane.ripe(EPOCH, [QUEUE]),
            lambda: lane.wait(rig.ann, [QUEUE], 1.0),
            lambda: rig.put(entry()),
        ):
            with pytest.raises(LaneUnavailable, match=r"no writes|replica"):
                await call()
    await lane.probe()
    assert await rig.put(entry()) == [PutReply.STORED]
    assert await lane.ripe(EPOCH, [QUEUE]) == {QUEUE}


async def test_a_full_server_still_drains(rig: Rig, client: Redis) -> None:
    await rig.put(entry(), entry())
    await client.config_set("maxmemory", 1)
    with pytest.raises(LaneUnavailable, match="out of memory"):
        await rig.put(entry())
    await rig.lane.probe()
    assert await rig.lane.ripe(EPOCH, [QUEUE]) == {QUEUE}
    assert await rig.lane.wait(rig.ann, [QUEUE], 1.0) == QUEUE
    held = await rig.take(1)
    await rig.lane.release(EPOCH, rig.ann, held)
    held = await rig.take()
    assert (await rig.beat(rig.ann, held)).lost == frozenset()
    await rig.lane.ack(EPOCH, rig.ann, held)
    assert await rig.take() == []


async def test_a_cancelled_call_leaves_no_reply_for_the_next(rig: Rig) -> None:
    await rig.put(*(entry() for _ in range(30)))
    for _ in range(20):
        call = asyncio.create_task(rig.take(1))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert await rig.lane.epoch() == EPOCH


async def test_a_worker_keeps_its_waiting_connection_to_itself(rig: Rig) -> None:
    waiting = [asyncio.create_task(rig.lane.wait(uuid4(), [QUEUE], 20)) for _ in range(20)]
    await rig.put(entry())
    done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert [one.result() for one in done] == [QUEUE]
    await _cancelled(rest)


@pytest.mark.parametrize("turns", range(12))
async def test_a_wait_can_be_cancelled_while_it_connects(rig: Rig, turns: int) -> None:
    waiting = asyncio.create_task(rig.lane.wait(uuid4(), [QUEUE], 20))
    for _ in range(turns):
        await asyncio.sleep(0)  # a few turns of the loop further each time
    await _cancelled({waiting})


async def _cancelled(tasks: set[asyncio.Task[str | None]]) -> None:
    for one in tasks:
        one.cancel()
    _, late = await asyncio.wait(tasks, timeout=5)
    assert not late
    assert all(one.cancelled() for one in tasks)


async def test_the_leases_of_a_batch_are_kept_as_a_table(rig: Rig, client: Redis) -> None:
    """A server keeps up to 512 as a list, and walks it for each lease that is acknowledged."""
    await rig.put(*(entry() for _ in range(40)))
    held = await rig.take(40)
    key = keys_of(rig).held(rig.ann.bytes)
    assert await client.object("ENCODING", key) == b"hashtable"
    assert await client.hlen(key) == len(held) == 40


async def test_a_waiting_job_costs_little_memory(valkey: EmbeddedValkey, client: Redis) -> None:
    lane, jobs = RedisLane(valkey.url), 20_000
    await lane.open_epoch(EPOCH, grace=0)
    body = pack_body(Body("send_email", b"x" * 275, 0, 0, 3, ""))
    before = (await client.info("memory"))["used_memory"]
    for _ in range(jobs // 500):
        await lane.put(
            EPOCH,
            [
                LaneEntry(id=uuid4(), gen=1, queue=QUEUE, priority=5, body=body, clear=True)
                for _ in range(500)
            ],
        )
    used = (await client.info("memory"))["used_memory"] - before
    assert len(body) >= 290
    assert used / jobs <= 450
    await lane.close()
