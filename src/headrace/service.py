"""Background services: each is a loop that polls and says when it wants to poll again."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from headrace.errors import HeadraceError

_log = logging.getLogger("headrace.service")
_AFTER_ERROR = 1.0


class Loop:
    """Calls `poll` again and again until stopped.

    Args:
        name: for logs.
        poll: does one round; returns the seconds until the next one.
        ended: says good-bye after the last round of a loop that was stopped.
        severable: a stop cuts the round under way off, since it may take long and can be repeated.

    An error of ours (PostgreSQL away, say) is logged once and the loop goes on a second later; any
    other error is a defect and ends the loop: `failed` is called with it.
    """

    def __init__(
        self,
        name: str,
        poll: Callable[[], Awaitable[float]],
        *,
        ended: Callable[[], Awaitable[None]] | None = None,
        failed: Callable[[BaseException], None] | None = None,
        severable: bool = False,
    ) -> None:
        self._name = name
        self._poll = poll
        self._ended = ended
        self._failed = failed
        self._severable = severable
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running event loop. Starting twice is the same as once.

        After a `stop` that is still under way the first round waits for the last one before.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._run(self._ending), name=f"headrace:{self._name}")

    def wake(self) -> None:
        """Poll as soon as possible instead of after the delay."""
        self._wanted.set()

    async def stop(self) -> None:
        """Let the round under way finish, then end.

        A round is not cancelled: a statement cut off in the middle leaves its outcome unknown.
        """
        if self._task is not None:
            self._ending, self._task = self._task, None
            self._wanted.set()
            if self._severable:
                self._ending.cancel()
        if self._ending is not None:
            await asyncio.wait([self._ending])

    def abandon(self) -> None:
        """Cut off the round under way, though its outcome stays unknown."""
        for task in (self._task, self._ending):
            if task is not None:
                task.cancel()

    @property
    def _wants_more(self) -> bool:
        """Whether the task that asks is the one that was started last, and not stopped."""
        return self._task is asyncio.current_task()

    async def _run(self, before: "asyncio.Task[None] | None") -> None:
        try:
            if before is not None:
                await asyncio.wait([before])
            await self._poll_on()
        except asyncio.CancelledError:
            if self._wants_more or not self._severable:
                raise
            if before is not None:
                await asyncio.wait([before])
        if self._ended is not None:
            await self._part(self._ended)

    async def _poll_on(self) -> None:
        quiet = True
        while self._wants_more:
            try:
                delay = await self._poll()
                quiet = True
            except HeadraceError as exc:
                if quiet:
                    _log.warning("%s: %s; going on", self._name, exc)
                quiet = False
                delay = _AFTER_ERROR
            except Exception as exc:
                _log.exception("%s ended by a defect", self._name)
                if self._failed is not None:
                    self._failed(exc)
                raise
            await self._rest(delay)

    async def _part(self, ended: Callable[[], Awaitable[None]]) -> None:
        try:
            await ended()
        except HeadraceError as exc:
            _log.info("%s: ended without a good-bye: %s", self._name, exc)

    async def _rest(self, delay: float) -> None:
        if delay > 0 and self._wants_more:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._wanted.wait()
        if self._wants_more:
            self._wanted.clear()
        if delay <= 0:
            await asyncio.sleep(0)


@asynccontextmanager
async def running(loops: Sequence[Loop]) -> AsyncIterator[None]:
    """These poll while inside; a round that is under way at the end is finished."""
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        await asyncio.gather(*(loop.stop() for loop in loops))
