"""Where an application is started: an engine in each event loop, that of the portal included."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, ref

from headrace.errors import UsageError
from headrace.portal import open_portal
from headrace.ports.cache import CacheStore
from headrace.ports.engine import Engine
from headrace.readers import Readers
from headrace.results import Results

T = TypeVar("T")


class Started:
    """What an application has in one event loop of one process.

    Attributes:
        engine: of this loop.
        results: who waits for results.
        readers: who read streams.
        declared: how many names the ledger was told of.
        cache_store: who keeps the values of the cache, once somebody asked.
    """

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self.engine = engine
        self.loop: ref[asyncio.AbstractEventLoop] = ref(loop)
        self.results: Results = Results(engine.outcomes)
        self.readers: Readers = Readers(engine.streams, engine.bus)
        self.pid: int = os.getpid()
        self.lock: asyncio.Lock = asyncio.Lock()
        self.users = 0
        self.declared = 0
        self.cache_store: CacheStore | None = None


class Starts:
    """The loops in which an application is started.

    Args:
        name: of the application, for errors.
        connect: makes an engine, not yet started.
        declare: makes known to an engine what the application has, and returns how many names.
        open_cache: makes the store of the cache, not yet connected.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Engine],
        declare: Callable[[Engine], Awaitable[int]],
        open_cache: Callable[[], CacheStore],
    ) -> None:
        self._name = name
        self._connect = connect
        self._declare = declare
        self._open_cache = open_cache
        self._started: WeakKeyDictionary[asyncio.AbstractEventLoop, Started] = WeakKeyDictionary()
        self._last: Started | None = None  # what was asked for last: hardly ever another
        self._anywhere = False

    @contextmanager
    def rehearsing(self, connect: Callable[[], Engine] | None, *, anywhere: bool) -> Iterator[None]:
        """Use other engines for a while, `anywhere`: in every loop without a start."""
        before = self._connect, self._started, self._anywhere
        self._connect = connect or self._connect
        self._started, self._anywhere, self._last = WeakKeyDictionary(), anywhere, None
        try:
            yield
        finally:
            self._connect, self._started, self._anywhere = before
            self._last = None

    async def start(self) -> None:
        """Connect in the running event loop; may be nested."""
        loop = asyncio.get_running_loop()
        here = self._started.get(loop)
        if here is None or here.pid != os.getpid():
            here = self._started[loop] = Started(self._connect(), loop)
        async with here.lock:
            if here.users == 0:
                await self._open(here)
                self._started[loop] = here  # an earlier start that failed may have dropped it
            here.users += 1

    async def stop(self) -> None:
        """Disconnect; a nested start is only counted down."""
        here = self.here()
        async with here.lock:
            here.users -= 1
            if here.users == 0:
                del self._started[asyncio.get_running_loop()]
                self._last = None
                await here.results.close()
                await here.readers.close()
                if here.cache_store is not None:
                    await here.cache_store.close()
                await here.engine.stop()

    async def declare(self, names: int) -> None:
        """Tell of what was registered since the start, up to so many names."""
        here = self.here()
        async with here.lock:  # the first caller declares for all who wait
            if here.declared != names:
                here.declared = await self._declare(here.engine)

    def cache_store(self) -> CacheStore:
        """Who keeps the values of the cache in the running event loop.

        Raises:
            UsageError: as `here`.
        """
        here = self.here()
        if here.cache_store is None:
            here.cache_store = self._open_cache()
        return here.cache_store

    def here(self) -> Started:
        """What there is in the running event loop.

        Raises:
            UsageError: the application is not started in this process and event loop.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        else:
            last = self._last
            here = last if last is not None and last.loop() is loop else self._started.get(loop)
            if here is None and self._anywhere:
                here = self._started[loop] = Started(self._connect(), loop)
        if here is None or here.pid != os.getpid() or (here.users == 0 and not self._anywhere):
            raise UsageError(
                f'the application "{self._name}" is not started in this process and event loop; '
                "use `async with app:` or `await app.start()`"
            )
        self._last = here
        return here

    def call_sync(self, make: Callable[[], Coroutine[Any, Any, T]], instead: str) -> T:
        """Run a coroutine in the portal's event loop, having started the application there.

        Args:
            make: makes it.
            instead: what to write where an event loop runs.

        Raises:
            UsageError: one runs in this thread.
        """
        portal = open_portal(instead)

        async def call() -> T:
            if not self._is_started(portal.loop):
                await self.start()
                portal.at_close(self._stop_here)
            return await make()

        return portal.call(call)

    def stop_sync(self, instead: str) -> None:
        """Disconnect in the portal's event loop."""
        open_portal(instead).call(self._stop_here)

    def _is_started(self, loop: asyncio.AbstractEventLoop) -> bool:
        here = self._started.get(loop)
        return here is not None and here.users > 0

    async def _stop_here(self) -> None:
        while self._is_started(asyncio.get_running_loop()):
            await self.stop()

    async def _open(self, here: Started) -> None:
        try:
            await here.engine.start()
            here.declared = await self._declare(here.engine)
        except BaseException:
            self._started.pop(asyncio.get_running_loop(), None)
            self._last = None
            await here.engine.stop()
            raise
