"""The lane of a run, as the runner sees it: opened before, watched for new epochs, counted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from redis.asyncio import Redis

from chaos.events import LeaseLost
from chaos.faultplan import POLL_SECONDS, until
from chaos.history import History
from headrace.lanes.redis.keys import LANES, Keys, ledger_of
from headrace.lanes.redis.lane import RedisLane
from headrace.ledger.postgres import PostgresLedger
from headrace.model.lane_view import Mode
from headrace.ports.lane_ledger import LaneLedger
from headrace.relay.relay import Relay
from headrace.relay.switch import switch_off, switch_on

CALM = "SELECT calm FROM headrace.lane"
AWAY = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


async def open_lane(database_url: str, redis_url: str) -> None:
    """Empty the server and let the ledger go over to its lane."""
    await flush(redis_url)
    async with _both(database_url, redis_url) as (ledger, lane):
        # Its time as the leader is over at once, for those of the run.
        relay = Relay(ledger, lane, lease=0.0, grace=0.0)
        while (await ledger.view()).mode is not Mode.HYBRID:
            await relay.poll()


async def close_lane(database_url: str, redis_url: str) -> None:
    """Switch to direct mode, as an operator does."""
    async with _both(database_url, redis_url) as (ledger, lane):
        await switch_off(ledger, lane)


async def lane_off_and_on(database_url: str, redis_url: str) -> None:
    """Switch to direct mode and back, as an operator does."""
    async with _both(database_url, redis_url) as (ledger, lane):
        await switch_off(ledger, lane)
        await switch_on(ledger, lane)


@asynccontextmanager
async def _both(database_url: str, redis_url: str) -> AsyncIterator[tuple[LaneLedger, RedisLane]]:
    ledger, lane = PostgresLedger(database_url), RedisLane(redis_url)
    await ledger.open()
    try:
        await lane.open()
        yield ledger.lanes, lane
    finally:
        await lane.close()
        await ledger.close()


async def flush(redis_url: str) -> None:
    """Empty the server."""
    async with Redis.from_url(redis_url) as client:
        await client.flushall()


async def trust(redis_url: str) -> None:
    """End the time in which all is given out flagged, if there is a lane at this moment."""
    async with Redis.from_url(redis_url) as client:
        for meta in await client.keys(LANES):
            await client.hdel(meta, "suspect")


async def until_leased(redis_url: str, jobs: int) -> None:
    """Wait until so many entries are in workers' hands."""
    async with Redis.from_url(redis_url) as client:
        keys = await _keys(client)

        async def so_many() -> bool:
            count = 0
            for worker in await client.zrange(_text(keys.workers), 0, -1):
                assert isinstance(worker, bytes)
                count += await client.hlen(_text(keys.held(worker)))
            return count == jobs

        await until(so_many, within=20, what=f"{jobs} entries leased")


async def until_no_worker(redis_url: str) -> None:
    """Wait until every worker is forgotten."""
    async with Redis.from_url(redis_url) as client:
        keys = await _keys(client)

        async def none() -> bool:
            return bool(await client.zcard(_text(keys.workers)) == 0)

        await until(none, within=20, what="no worker in the lane")


async def until_carried(redis_url: str, entries: int, within: float) -> None:
    """Wait until there are so many entries."""
    async with Redis.from_url(redis_url) as client:
        keys = await _keys(client)

        async def so_many() -> bool:
            return bool(await client.hlen(_text(keys.jobs)) == entries)

        await until(so_many, within=within, what=f"{entries} entries in the lane")


@asynccontextmanager
async def epochs_told(database_url: str, history: History) -> AsyncIterator[None]:
    """Write down, all through each rebuild, that leases end.

    Whoever held something under the epoch before may start it for a while; whoever gets it next
    does so at the end of the grace. No single moment lies between the two for certain.
    """
    watch = asyncio.create_task(_watch(database_url, history))
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait([watch])
    if not watch.cancelled():
        watch.result()


async def _watch(database_url: str, history: History) -> None:
    calm = True
    while True:
        try:
            connection = await asyncpg.connect(database_url)
            try:
                while True:
                    calm = await connection.fetchval(CALM)
                    await _tell(history, calm=calm)
            finally:
                connection.terminate()
        except AWAY:
            await _tell(history, calm=calm)


async def _tell(history: History, *, calm: bool) -> None:
    if not calm:
        history.append(LeaseLost(cause="epoch"))
    await asyncio.sleep(POLL_SECONDS)  # the lines of a watch: the ledger tells nobody


async def _keys(client: Redis) -> Keys:
    """The keys of the only lane of the server, which was empty before the run."""
    (meta,) = await client.keys(LANES)
    assert isinstance(meta, bytes)
    return Keys(UUID(f"{ledger_of(meta):0<32}"))


def _text(key: bytes) -> str:
    return key.decode("latin-1")
