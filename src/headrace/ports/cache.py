"""What keeps the values of a cache, in namespaces; a new version of one ends all that it held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class CacheAway(Exception):
    """The cache cannot be asked now: who needs a value computes it."""


@dataclass(frozen=True, slots=True)
class Found:
    """One value.

    Attributes:
        value: as it was written.
        left: seconds of its life.
    """

    value: bytes
    left: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What a namespace holds.

    Attributes:
        version: of the namespace when it was read; what is computed now belongs to it.
        found: a value for each key that was asked for, or None.
    """

    version: bytes
    found: list[Found | None]


class CacheStore(Protocol):
    """Values by namespace and key. Each call raises `CacheAway` where nobody can be asked.

    A value belongs to the version of its namespace that its writer had read. What was computed
    before `invalidate` and is written after it is never given out.
    """

    async def read(self, space: str, keys: Sequence[str]) -> Reading:
        """The values of these keys, of the version that is now."""

    async def write(
        self, space: str, version: bytes, values: Mapping[str, bytes], life: float
    ) -> None:
        """Keep values for so many seconds."""

    async def claim(self, space: str, key: str, token: bytes, within: float, early: float) -> bool:
        """Be the one who computes a key, for `within` seconds at most.

        Not, if another one is, or if a value has more than `early` seconds left.
        """

    async def fill(
        self, space: str, version: bytes, key: str, token: bytes, value: bytes, life: float
    ) -> bool:
        """Keep what was computed and end the claim, if it still holds: `delete` ends it, too."""

    async def forgo(self, space: str, key: str, token: bytes) -> None:
        """End a claim without a value."""

    async def delete(self, space: str, keys: Sequence[str]) -> None:
        """Forget values, and the claims on them."""

    async def invalidate(self, space: str) -> None:
        """Begin a new version: forget everything, however much that is."""

    async def count(self, space: str, more: Mapping[str, int]) -> dict[str, int]:
        """Add to the counters of a namespace and return them all."""

    async def close(self) -> None:
        """Disconnect."""
