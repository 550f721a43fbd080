"""The cache of an application: its namespaces."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol, TypeVar, overload

from headrace.cache.namespace import AsyncNamespace, Source
from headrace.errors import UsageError
from headrace.model.caching import CacheStats, life_of
from headrace.model.duration import Duration, parse_duration
from headrace.model.names import check_name
from headrace.portal import on_callers_thread

T = TypeVar("T")
R = TypeVar("R")
_WITHIN = "10s"


class Application(Source, Protocol):
    """What a cache needs of its application."""

    def call_sync(self, make: Callable[[], Coroutine[Any, Any, R]], instead: str) -> R:
        """Run a coroutine in the portal's event loop."""


class Namespace(AsyncNamespace[T]):
    """Values of one kind and one life; made by `app.cache.namespace(...)`.

    Where the cache's server is away, nothing is found, nothing is kept and nothing fails. Every
    verb has a `_sync` twin for where no event loop runs.
    """

    _source: Application

    def get_sync(self, key: str) -> T | None:
        """As `get`, where no event loop runs."""
        return self._call("get", lambda: self.get(key))

    def get_many_sync(self, keys: Iterable[str]) -> dict[str, T]:
        """As `get_many`, where no event loop runs."""
        return self._call("get_many", lambda: self.get_many(keys))

    def set_sync(self, key: str, value: T, *, life: Duration | None = None) -> None:
        """As `set`, where no event loop runs."""
        self._call("set", lambda: self.set(key, value, life=life))

    def set_many_sync(self, values: Mapping[str, T], *, life: Duration | None = None) -> None:
        """As `set_many`, where no event loop runs."""
        self._call("set_many", lambda: self.set_many(values, life=life))

    def delete_sync(self, *keys: str) -> bool:
        """As `delete`, where no event loop runs."""
        return self._call("delete", lambda: self.delete(*keys))

    def invalidate_sync(self) -> bool:
        """As `invalidate`, where no event loop runs."""
        return self._call("invalidate", self.invalidate)

    def get_or_set_sync(
        self, key: str, make: Callable[[], T], *, life: Duration | None = None
    ) -> T:
        """As `get_or_set`, where no event loop runs; `make` is called in the caller's thread."""
        there = _on_callers_thread(make)
        return self._call("get_or_set", lambda: self.get_or_set(key, there, life=life))

    def warm_sync(self, keys: Iterable[str], load: Callable[[list[str]], Mapping[str, T]]) -> int:
        """As `warm`, where no event loop runs; `load` is called in the caller's thread."""

        async def there(missing: list[str]) -> Mapping[str, T]:
            return await on_callers_thread(lambda: load(missing))

        return self._call("warm", lambda: self.warm(keys, there))

    def stats_sync(self) -> CacheStats:
        """As `stats`, where no event loop runs."""
        return self._call("stats", self.stats)

    def _call(self, verb: str, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
        return self._source.call_sync(make, f"await {self.name}.{verb}(...)")


class Cache:
    """The cache of an application, `app.cache`, on the server of the setting `cache_url`."""

    def __init__(self, app: Application) -> None:
        self._app = app

    @overload
    def namespace(
        self, name: str, *, life: Duration | None = None, within: Duration = _WITHIN
    ) -> Namespace[Any]: ...
    @overload
    def namespace(
        self, name: str, kind: type[T], *, life: Duration | None = None, within: Duration = _WITHIN
    ) -> Namespace[T]: ...
    def namespace(
        self,
        name: str,
        kind: object = Any,
        *,
        life: Duration | None = None,
        within: Duration = _WITHIN,
    ) -> Namespace[Any]:
        """A namespace; two of one name hold the same values. Nothing is asked of a server yet.

        Args:
            name: as that of a queue.
            kind: what its values are read as, by their JSON: a class or a type hint.
            life: of a value; 1 h for "tasks" and "settings", 6 h for "projects", 24 h for "users",
                48 h for "results" and 5 min for "metrics", if it is not given.
            within: how long one caller of `get_or_set` may compute while others wait.

        Raises:
            UsageError: one of them cannot be.
        """
        check_name("namespace", name)
        bound = parse_duration(within, "within")
        if not bound:
            raise UsageError('within="0s" leaves no time to compute; give at least "1s"')
        try:
            return Namespace(self._app, name, kind, life_of(name, life), bound)
        except (TypeError, ValueError) as exc:
            if isinstance(exc, UsageError):
                raise
            raise UsageError(
                f'the namespace "{name}" is of a kind that cannot be read from JSON ({exc}); use a '
                "simpler type"
            ) from exc


def _on_callers_thread(make: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    async def there() -> T:
        return await on_callers_thread(make)

    return there
