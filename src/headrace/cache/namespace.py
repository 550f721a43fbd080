"""A namespace of a cache: values of one kind and one life."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Generic, Protocol, TypeVar, cast
from uuid import uuid4

import msgspec

from headrace.errors import BadPayload
from headrace.model.caching import MAX_VALUE, CacheStats, check_key, life_of
from headrace.model.duration import Duration
from headrace.model.shown import shown
from headrace.payload import decode_hook, encode
from headrace.ports.cache import CacheAway, CacheStore

T = TypeVar("T")
_EARLY = 0.1  # of a life, at its end
_PAUSES = (0.005, 0.01, 0.02, 0.05, 0.1)  # seconds between two looks at what another one computes
_COUNTED = 1.0  # seconds between two tellings of the counters

_log = logging.getLogger("headrace.cache")


class Source(Protocol):
    """Where a namespace is kept: the application, as started in the running loop."""

    @property
    def cache_store(self) -> CacheStore:
        """Who keeps the values."""


class AsyncNamespace(Generic[T]):
    """The verbs of a namespace, for an event loop.

    Attributes:
        name: of it.
        life: of a value, if it is not given with it.
    """

    def __init__(
        self, source: Source, name: str, kind: object, life: timedelta, within: timedelta
    ) -> None:
        self._source = source
        self._decoder = msgspec.json.Decoder(cast("type[T]", kind), dec_hook=decode_hook)
        self._within = within.total_seconds()
        self._counts: Counter[str] = Counter()
        self._counted = time.monotonic()
        self.name: str = name
        self.life: timedelta = life

    async def get(self, key: str) -> T | None:
        """The value of a key; None where there is none, or none that fits the namespace's kind.

        Raises:
            UsageError: the key is no string of 1 to 500 bytes, or the application is not started.
            ConfigError: no cache is configured, or its server may not be one.
        """
        return (await self.get_many((key,))).get(key)

    async def get_many(self, keys: Iterable[str]) -> dict[str, T]:
        """The values of these keys, in one round trip; those without one are left out.

        Raises:
            UsageError, ConfigError: as `get`.
        """
        wanted = list(dict.fromkeys(check_key(key) for key in keys))
        try:
            _, held = await self._look(wanted)
        except CacheAway:
            return {}
        await self._count(hits=len(held), misses=len(wanted) - len(held))
        return {key: value for key, (value, _) in held.items()}

    async def set(self, key: str, value: T, *, life: Duration | None = None) -> None:
        """Keep a value.

        Args:
            key: 1 to 500 bytes.
            value: what JSON can hold, 1 MiB at most.
            life: of this value; without it that of the namespace.

        Raises:
            BadPayload: the value cannot be kept, or does not fit the namespace's kind.
            UsageError, ConfigError: as `get`.
        """
        await self.set_many({key: value}, life=life)

    async def set_many(self, values: Mapping[str, T], *, life: Duration | None = None) -> None:
        """Keep values, in two round trips; else as `set`."""
        sealed = {check_key(key): self._seal(key, value)[0] for key, value in values.items()}
        seconds = self._seconds(life)
        try:
            reading = await self._store.read(self.name, ())
            await self._store.write(self.name, reading.version, sealed, seconds)
        except CacheAway:
            return

    async def delete(self, *keys: str) -> bool:
        """Forget values; what is being computed for them is not kept either.

        Returns:
            False where the cache is away: then they live on, for what is left of their lives.
        """
        known = [check_key(key) for key in keys]
        return await self._tell(lambda store: store.delete(self.name, known))

    async def invalidate(self) -> bool:
        """Forget all values of the namespace, at once, however many there are.

        Returns:
            False where the cache is away, as `delete`.
        """
        return await self._tell(lambda store: store.invalidate(self.name))

    async def get_or_set(
        self, key: str, make: Callable[[], Awaitable[T]], *, life: Duration | None = None
    ) -> T:
        """The value of a key; where there is none, what `make` gives, which is kept.

        Of all callers, in all processes, one computes; the others wait for it, for as long as the
        namespace's `within` says, and then compute for themselves. In the last tenth of a life one
        caller computes the value anew, while the others get the old one. What was computed before
        an `invalidate` or `delete` is not kept after it.

        Args:
            key: 1 to 500 bytes.
            make: computes the value; what it raises is raised here. A value that cannot be kept is
                given all the same, and logged.
            life: of the value; without it that of the namespace.

        Raises:
            UsageError, ConfigError: as `get`.
        """
        check_key(key)
        seconds = self._seconds(life)
        early = seconds * _EARLY
        until, pauses = time.monotonic() + self._within, iter(_PAUSES)
        while time.monotonic() < until:
            token = uuid4().bytes
            try:
                version, held = await self._look((key,))
                if key in held and held[key][1] > early:
                    return await self._hit(held[key][0])
                claimed = await self._store.claim(self.name, key, token, self._within, early)
            except CacheAway:
                break
            if claimed:
                return await self._compute(key, make, version, token, seconds)
            if key in held:
                return await self._hit(held[key][0])
            await asyncio.sleep(
                next(pauses, _PAUSES[-1])
            )  # whoever computes may die and tell nobody
        return self._own(key, await make())

    async def warm(
        self, keys: Iterable[str], load: Callable[[list[str]], Awaitable[Mapping[str, T]]]
    ) -> int:
        """Fill what is missing of these keys, all by one call of `load`.

        Args:
            keys: to look for.
            load: gets the missing ones, and gives the values of those that it has.

        Returns:
            How many were filled; 0 where the cache is away, and then nothing was loaded.
        """
        wanted = list(dict.fromkeys(check_key(key) for key in keys))
        try:
            version, held = await self._look(wanted)
            missing = [key for key in wanted if key not in held]
            loaded = await load(missing) if missing else {}
            sealed = {check_key(key): self._seal(key, value)[0] for key, value in loaded.items()}
            await self._store.write(self.name, version, sealed, self.life.total_seconds())
        except CacheAway:
            return 0
        await self._count(computed=len(sealed))
        return len(sealed)

    async def stats(self) -> CacheStats:
        """What became of those who asked, of all processes; zeros where the cache is away."""
        try:
            told = await self._store.count(self.name, self._uncounted())
        except CacheAway:
            told = {}
        return CacheStats(told.get("hits", 0), told.get("misses", 0), told.get("computed", 0))

    @property
    def _store(self) -> CacheStore:
        return self._source.cache_store

    def _seconds(self, life: Duration | None) -> float:
        given = self.life if life is None else life_of(self.name, life)
        return given.total_seconds()

    async def _look(self, keys: Sequence[str]) -> "tuple[bytes, dict[str, tuple[T, float]]]":
        """The version that is now, and each value with the seconds that it has left.

        What does not fit the kind was written by another release: it is forgotten.
        """
        reading = await self._store.read(self.name, keys)
        held: dict[str, tuple[T, float]] = {}
        for key, found in zip(keys, reading.found, strict=True):
            if found is None:
                continue
            try:
                held[key] = (self._decoder.decode(found.value), found.left)
            except msgspec.MsgspecError:
                await self._store.delete(self.name, (key,))
        return reading.version, held

    async def _compute(
        self, key: str, make: Callable[[], Awaitable[T]], version: bytes, token: bytes, life: float
    ) -> T:
        sealed = None
        try:
            made = value = await make()
            try:
                sealed, value = self._seal(key, made)
            except BadPayload as exc:
                _log.warning("not kept: %s", exc)
            return value
        finally:
            with suppress(CacheAway):  # the claim ends by itself
                if sealed is None:
                    await self._store.forgo(self.name, key, token)
                else:
                    await self._store.fill(self.name, version, key, token, sealed, life)
                    await self._count(misses=1, computed=1)

    def _seal(self, key: str, value: T) -> tuple[bytes, T]:
        """JSON of a value, and what it is read as: all callers get the same.

        Raises:
            BadPayload: it cannot be kept.
        """
        what = f'the value of the cache key {shown(key)} in "{self.name}"'
        try:
            sealed = encode(value, MAX_VALUE)
        except BadPayload as exc:
            raise BadPayload(f"{what} {exc}") from exc
        try:
            return sealed, self._decoder.decode(sealed)
        except msgspec.ValidationError as exc:
            raise BadPayload(f"{what} does not fit its kind: {exc}") from exc

    def _own(self, key: str, value: T) -> T:
        try:
            return self._seal(key, value)[1]
        except BadPayload:
            return value

    async def _hit(self, value: T) -> T:
        await self._count(hits=1)
        return value

    async def _tell(self, call: Callable[[CacheStore], Awaitable[None]]) -> bool:
        try:
            await call(self._store)
        except CacheAway:
            return False
        return True

    async def _count(self, **more: int) -> None:
        """Count here, and tell the others once a second."""
        self._counts.update(more)
        if time.monotonic() - self._counted > _COUNTED:
            with suppress(CacheAway):
                await self._store.count(self.name, self._uncounted())

    def _uncounted(self) -> dict[str, int]:
        self._counted = time.monotonic()
        counts, self._counts = self._counts, Counter()
        return {name: number for name, number in counts.items() if number}
