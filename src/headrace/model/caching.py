"""Namespaces of a cache: how long their values live, and what became of those who asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from headrace.errors import UsageError
from headrace.model.duration import parse_duration
from headrace.model.shown import shown

MAX_VALUE = 1 << 20
MAX_KEY = 500
_LONGEST = timedelta(days=30)

LIVES: Mapping[str, timedelta] = MappingProxyType(
    {
        "tasks": timedelta(hours=1),
        "users": timedelta(hours=24),
        "projects": timedelta(hours=6),
        "results": timedelta(hours=48),
        "metrics": timedelta(minutes=5),
        "settings": timedelta(hours=1),
    }
)


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What became of those who asked a namespace, in all processes, since its server began.

    Attributes:
        hits: found a value.
        misses: found none.
        computed: values that were computed and kept.
    """

    hits: int
    misses: int
    computed: int

    @property
    def rate(self) -> float:
        """The part that found a value, 0 to 1; 0 where nobody asked."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


def life_of(space: str, given: object) -> timedelta:
    """How long values of a namespace live: what is given, or what its name says.

    Raises:
        UsageError: neither says so, or it cannot be.
    """
    if given is None:
        if space in LIVES:
            return LIVES[space]
        raise UsageError(
            f'the namespace "{space}" needs a life, such as life="10m"; known without one: '
            f"{', '.join(LIVES)}"
        )
    life = parse_duration(given, "life")
    if not timedelta(milliseconds=1) <= life <= _LONGEST:
        raise UsageError(f'life={shown(given)} is not between "1ms" and "30d"')
    return life


def check_key(key: object) -> str:
    """A key of a cache.

    Raises:
        UsageError: it is no string of 1 to 500 bytes.
    """
    if isinstance(key, str) and 1 <= len(key.encode("utf-8", "surrogatepass")) <= MAX_KEY:
        try:
            key.encode()
        except UnicodeEncodeError:
            pass
        else:
            return key
    raise UsageError(f"the cache key {shown(key)} is no string of 1 to {MAX_KEY} bytes")
