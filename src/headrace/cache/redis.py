"""A cache on Redis or Valkey: a server, Sentinels or a cluster."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from headrace.cache.keys import Keys
from headrace.cache.neighbours import check_alone
from headrace.cache.way import way_to
from headrace.errors import LaneError
from headrace.ports.cache import CacheAway, Found, Reading

_log = logging.getLogger("headrace.cache")
_AT_ONCE = 16  # connections
_PATIENCE, _OPENING = 1.0, 5.0  # seconds for a call, and for the first look at a server
_PAUSE = 1.0  # seconds after a failure in which nobody waits for another one
_SLICE = 500  # keys of a call
_VERSION = 16  # bytes


class RedisStore:
    """Keeps values on a server. A value begins with the version that it belongs to.

    Where the server cannot be reached, nobody waits for that twice in a second.

    Args:
        url: as that of a lane.
        application: whose cache it is.
        lane_url: of a lane, which must not lie on the same server if that evicts.
    """

    def __init__(self, url: str, application: str, lane_url: str | None) -> None:
        self._route = way_to(
            url,
            protocol=2,
            socket_timeout=None,  # ours alone: see lanes/redis/connection.py
            socket_connect_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
        self._keys = Keys(application)
        self._lane_url = lane_url
        self._client: Redis | None = None
        self._opening = asyncio.Lock()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._away_until = 0.0
        self._told = False

    async def read(self, space: str, keys: Sequence[str]) -> Reading:
        """As the protocol says."""
        found: list[Found | None] = []
        version = b""
        for at in range(0, max(len(keys), 1), _SLICE):
            some = [self._keys.entry(space, key) for key in keys[at : at + _SLICE]]
            async with self._server() as client:
                pipeline = client.pipeline(transaction=False)
                pipeline.get(self._keys.version(space))
                for key in some:
                    pipeline.get(key)
                    pipeline.pttl(key)
                told, *rest = await pipeline.execute()
                version = told or await self._new_version(client, space)
            found += [
                _of_version(version, entry, left)
                for entry, left in zip(rest[::2], rest[1::2], strict=True)
            ]
        return Reading(version, found)

    async def write(
        self, space: str, version: bytes, values: Mapping[str, bytes], life: float
    ) -> None:
        """As the protocol says."""
        pairs = list(values.items())
        for at in range(0, len(pairs), _SLICE):
            async with self._server() as client:
                pipeline = client.pipeline(transaction=False)
                for key, value in pairs[at : at + _SLICE]:
                    pipeline.set(self._keys.entry(space, key), version + value, px=_millis(life))
                await pipeline.execute()

    async def claim(self, space: str, key: str, token: bytes, within: float, early: float) -> bool:
        """As the protocol says."""
        keys = [
            self._keys.version(space),
            self._keys.entry(space, key),
            self._keys.claim(space, key),
        ]
        return bool(await self._run("claim", keys, token, _millis(within), _millis(early)))

    async def fill(
        self, space: str, version: bytes, key: str, token: bytes, value: bytes, life: float
    ) -> bool:
        """As the protocol says."""
        keys = [self._keys.entry(space, key), self._keys.claim(space, key)]
        return bool(await self._run("fill", keys, token, version + value, _millis(life)))

    async def forgo(self, space: str, key: str, token: bytes) -> None:
        """As the protocol says."""
        await self._run("forgo", [self._keys.claim(space, key)], token)

    async def delete(self, space: str, keys: Sequence[str]) -> None:
        """As the protocol says."""
        for at in range(0, len(keys), _SLICE):
            some = keys[at : at + _SLICE]
            gone = [
                each(space, key) for key in some for each in (self._keys.entry, self._keys.claim)
            ]
            async with self._server() as client:
                await client.delete(*gone)

    async def invalidate(self, space: str) -> None:
        """As the protocol says."""
        async with self._server() as client:
            await client.set(self._keys.version(space), _random())

    async def count(self, space: str, more: Mapping[str, int]) -> dict[str, int]:
        """As the protocol says."""
        key = self._keys.counts(space)
        async with self._server() as client:
            pipeline = client.pipeline(transaction=False)
            for name, number in more.items():
                pipeline.hincrby(key, name, number)
            pipeline.hgetall(key)
            *_, told = await pipeline.execute()
        return {name.decode(): int(number) for name, number in told.items()}

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _new_version(self, client: "Redis", space: str) -> bytes:
        """Of a namespace that has none: a new one, or one that was evicted with all its values."""
        key = self._keys.version(space)
        await client.set(key, _random(), nx=True)
        return _bytes(await client.get(key))

    async def _run(self, name: str, keys: list[bytes], *args: bytes | int) -> Any:  # noqa: ANN401 - what it returns
        async with self._server() as client:
            return await client.eval(_script(name), len(keys), *keys, *args)

    @asynccontextmanager
    async def _server(self) -> AsyncIterator["Redis"]:
        """The server; its errors come out as one.

        Raises:
            CacheAway: it cannot be asked.
            ConfigError: it throws away what a lane keeps there.
        """
        if time.monotonic() < self._away_until:
            raise CacheAway
        try:
            async with self._places:
                client = self._client or await self._open()
                async with asyncio.timeout(_PATIENCE):
                    yield client
        except (RedisError, OSError, LaneError) as exc:  # a TimeoutError is an OSError
            await self._lose(exc)
            raise CacheAway from exc
        self._told = False

    async def _open(self) -> "Redis":
        async with self._opening, asyncio.timeout(_OPENING):
            if self._client is None:
                pool = await self._route.find(self._route.slot(self._keys.tag))
                client: Redis = Redis.from_pool(pool)
                try:
                    await check_alone(client, self._route.name, self._lane_url)
                except BaseException:
                    await client.aclose()
                    raise
                self._client = client
            return self._client

    async def _lose(self, exc: Exception) -> None:
        """Ask for the way anew next time; say so once."""
        self._away_until = time.monotonic() + _PAUSE
        if not self._told:
            _log.warning("the cache %s is away, values are computed: %s", self._route.name, exc)
        self._told = True
        await self.close()


def _of_version(version: bytes, entry: bytes | None, left: int) -> Found | None:
    if entry is None or left <= 0 or not entry.startswith(version):
        return None
    return Found(entry[_VERSION:], left / 1000)


def _bytes(told: Any) -> bytes:  # noqa: ANN401 - redis leaves open what it decodes
    return bytes(told or b"")


def _millis(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _random() -> bytes:
    return uuid4().hex[:_VERSION].encode()


@cache
def _script(name: str) -> str:
    return files("headrace.cache").joinpath("lua", f"{name}.lua").read_text("utf-8")
