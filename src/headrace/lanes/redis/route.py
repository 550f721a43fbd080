"""Finds the server of a lane: that of the URL, the Sentinels' primary, or who has its slot."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.crc import key_slot
from redis.exceptions import RedisError

from headrace.errors import LaneUnavailable
from headrace.lanes.redis.url import Kind, Places, pool_of, read_places, unusable_file_of


class Route:
    """The way to whichever server has the lane now.

    All who are asked are asked at once: one that does not answer holds up nobody.

    Args:
        url: of a server, of Sentinels or of a cluster, as `url.py` reads it.
        options: for every connection, as the driver takes them.

    Attributes:
        name: where it leads, without user and password.
        moves: whether another server may have the lane later.
    """

    def __init__(self, url: str, **options: Any) -> None:  # noqa: ANN401 - what the driver takes
        self._places = places = read_places(url)
        self._options = options
        self._asked = [pool_of(one, **options) for one in places.urls]
        pool_of(places.server, **options)
        self.name: str = places.name
        self.moves: bool = places.kind is not Kind.SERVER

    def slot(self, key: bytes) -> int:
        """Of a cluster, the slot of a key; else always the same."""
        return key_slot(key) if self._places.kind is Kind.CLUSTER else 0

    @contextmanager
    def naming_files(self) -> Iterator[None]:
        """Connect within; where a file of TLS that the URL names is to blame, it is named.

        Raises:
            LaneUnavailable: as within.
        """
        try:
            yield
        except LaneUnavailable as exc:
            wrong = unusable_file_of(self._places)
            if wrong is None:
                raise
            sentence = f"the lane's server {self.name} cannot be asked over TLS: {wrong}"
            raise LaneUnavailable(sentence) from exc

    async def find(self, slot: int) -> ConnectionPool:
        """Connections to the server that has the lane; none is opened.

        Raises:
            LaneUnavailable: nobody who is asked knows it.
            RedisError, OSError: nobody can be asked.
        """
        places = self._places
        if places.kind is Kind.SERVER:
            return self._asked[0]
        ask = _primary_of if places.kind is Kind.SENTINEL else _owner_of
        asked = (ask(places, pool, slot) for pool in self._asked)
        host, port = await _first_answer(asked)
        return pool_of(places.at(host, port), **self._options)


async def _primary_of(places: Places, sentinel: ConnectionPool, _slot: int) -> tuple[str, int]:
    told = await _told(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", places.service)
    if told is None:
        raise LaneUnavailable(
            f"the Sentinels know no service {places.service!r}; correct HEADRACE_REDIS_URL"
        )
    return told[0].decode(), int(told[1])


async def _owner_of(places: Places, node: ConnectionPool, slot: int) -> tuple[str, int]:
    for first, last, owner, *_ in await _told(node, "CLUSTER", "SLOTS"):
        if first <= slot <= last:
            # A node that does not know its own address names none: it is where it was asked.
            host = (owner[0] or b"").decode() or node.connection_kwargs["host"]
            return host, int(owner[1])
    raise LaneUnavailable(f"no node has slot {slot}, that of the lane, in {places.name}; mend it")


async def _told(pool: ConnectionPool, *command: str) -> Any:  # noqa: ANN401 - whatever it replies
    connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]  # redis leaves it so
    try:
        await connection.connect()  # type: ignore[no-untyped-call]  # redis leaves it so
        await connection.send_command(*command)
        return await connection.read_response(disable_decoding=True)
    finally:
        await connection.disconnect(nowait=True)


async def _first_answer(asked: Iterable[Coroutine[Any, Any, tuple[str, int]]]) -> tuple[str, int]:
    tasks = [asyncio.ensure_future(one) for one in asked]
    failure: Exception | None = None
    try:
        for answer in asyncio.as_completed(tasks):
            try:
                return await answer
            except (RedisError, OSError, LaneUnavailable) as exc:
                failure = exc
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert failure is not None, "one is asked at least"
    raise failure
