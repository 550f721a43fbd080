"""Calls of a lane's scripts on whichever connection is free, each with its server's epoch."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar
from uuid import UUID

from headrace.lanes.redis.connection import Argument, Link, Links
from headrace.lanes.redis.keys import Keys
from headrace.lanes.redis.scripts import script
from headrace.model.job import Delivery
from headrace.model.lane_view import NOBODY

T = TypeVar("T")
CHUNK = 500  # entries a script handles at once: Lua's stack, and nobody waits long behind it
_CHUNK_BYTES = 1 << 20
_STAMPS_FOR = 600.0  # seconds for which the last clock seen is counted on


class Caller:
    """The stock of connections of a lane, its keys, and its clock as last seen."""

    def __init__(self, url: str, *, lease: float, timeout: float) -> None:
        self._links = Links(url, timeout=timeout)
        self._ledger = NOBODY
        self._keys = Keys(NOBODY)
        self._links.lead_to(self._keys.meta)
        self._lease = round(lease * 1000)
        self._clock: tuple[int, float] | None = None

    def belong_to(self, ledger: UUID) -> None:
        """Carry for this ledger from now on."""
        if ledger != self._ledger:
            self._ledger, self._keys = ledger, Keys(ledger)
            self._links.lead_to(self._keys.meta)

    def stamp(self) -> int | None:
        """The lane's clock now, in milliseconds; never ahead of it."""
        if self._clock is None:
            return None
        told, at = self._clock
        since = time.monotonic() - at
        return None if since > _STAMPS_FOR else told + int(since * 1000)

    async def _run(self, name: str, epoch: int, keys: list[bytes], args: Iterable[Argument]) -> Any:  # noqa: ANN401 - whatever the script returns
        async with self._links.link() as link:
            return await link.run(script(name), keys, (in_this_life(epoch, link), *args))

    async def _tell(
        self, name: str, epoch: int, keys: list[bytes], args: Iterable[Argument]
    ) -> None:
        """Run a script that returns only the lane's clock."""
        self._saw(await self._run(name, epoch, keys, args))

    def _saw(self, now: int) -> None:
        self._clock = (now, time.monotonic())


def in_this_life(epoch: int, link: Link) -> str:
    """The epoch as a server's life knows it: what survived a restart or a failover is not it."""
    return f"{epoch}:{link.server.run_id}"


def sliced(items: Sequence[T]) -> list[Sequence[T]]:
    """Runs of items that fit a call."""
    return [items[at : at + CHUNK] for at in range(0, len(items), CHUNK)]


def chunks(items: Sequence[T], sizes: Sequence[int]) -> list[list[T]]:
    """Runs of items, none of them too many or, if more than one, too large for a call."""
    runs: list[list[T]] = []
    room = 0
    for item, size in zip(items, sizes, strict=True):
        if not runs or len(runs[-1]) == CHUNK or size > room:
            runs.append([])
            room = _CHUNK_BYTES
        runs[-1].append(item)
        room -= size
    return runs


def confirmed(deliveries: Iterable[Delivery], answers: bytes) -> Iterator[tuple[UUID, int]]:
    """The tokens that a script answered with 1."""
    for one, answer in zip(deliveries, answers, strict=True):
        if answer == ord("1"):
            yield one.token
