"""The reference of `CacheStore`: in this process, with a bound on its bytes."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from headrace.ports.cache import Found, Reading

_MOST_BYTES = 64 << 20
_Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Entry:
    version: bytes
    value: bytes
    ends: float


class MemoryStore:
    """Keeps values in memory; what was used least goes first when it is full.

    Args:
        clock: in seconds.
        most_bytes: of values.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, most_bytes: int = _MOST_BYTES
    ) -> None:
        self._clock = clock
        self._most_bytes = most_bytes
        self._bytes = 0
        self._entries: OrderedDict[_Place, _Entry] = OrderedDict()
        self._claims: dict[_Place, tuple[bytes, float]] = {}
        self._versions: dict[str, bytes] = {}
        self._counts: dict[str, dict[str, int]] = {}

    async def read(self, space: str, keys: Sequence[str]) -> Reading:
        """As the protocol says."""
        return Reading(self._version(space), [self._get(space, key) for key in keys])

    async def write(
        self, space: str, version: bytes, values: Mapping[str, bytes], life: float
    ) -> None:
        """As the protocol says."""
        for key, value in values.items():
            self._put((space, key), _Entry(version, value, self._clock() + life))

    async def claim(self, space: str, key: str, token: bytes, within: float, early: float) -> bool:
        """As the protocol says."""
        found = self._get(space, key)
        if (found is not None and found.left > early) or self._claimed(space, key):
            return False
        self._claims[space, key] = (token, self._clock() + within)
        return True

    async def fill(
        self, space: str, version: bytes, key: str, token: bytes, value: bytes, life: float
    ) -> bool:
        """As the protocol says."""
        if self._claimed(space, key) != token:
            return False
        del self._claims[space, key]
        await self.write(space, version, {key: value}, life)
        return True

    async def forgo(self, space: str, key: str, token: bytes) -> None:
        """As the protocol says."""
        if self._claimed(space, key) == token:
            del self._claims[space, key]

    async def delete(self, space: str, keys: Sequence[str]) -> None:
        """As the protocol says."""
        for key in keys:
            self._drop((space, key))
            self._claims.pop((space, key), None)

    async def invalidate(self, space: str) -> None:
        """As the protocol says."""
        self._versions[space] = _new_version()

    async def count(self, space: str, more: Mapping[str, int]) -> dict[str, int]:
        """As the protocol says."""
        counts = self._counts.setdefault(space, {})
        for name, number in more.items():
            counts[name] = counts.get(name, 0) + number
        return dict(counts)

    async def close(self) -> None:
        """Nothing is open."""

    def _version(self, space: str) -> bytes:
        return self._versions.setdefault(space, _new_version())

    def _get(self, space: str, key: str) -> Found | None:
        entry = self._entries.get((space, key))
        if entry is None or entry.version != self._version(space):
            return None
        left = entry.ends - self._clock()
        if left <= 0:
            self._drop((space, key))
            return None
        self._entries.move_to_end((space, key))
        return Found(entry.value, left)

    def _claimed(self, space: str, key: str) -> bytes | None:
        token, ends = self._claims.get((space, key), (None, 0.0))
        if token is not None and ends <= self._clock():
            del self._claims[space, key]
            return None
        return token

    def _put(self, place: _Place, entry: _Entry) -> None:
        self._drop(place)
        self._entries[place] = entry
        self._bytes += len(entry.value)
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, place: _Place) -> None:
        if (entry := self._entries.pop(place, None)) is not None:
            self._bytes -= len(entry.value)


def _new_version() -> bytes:
    return uuid4().hex[:16].encode()
