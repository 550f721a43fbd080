"""The portal: one thread with an event loop, by which callers without one use what is async.

A process has one portal, opened at the first call and made anew in a forked child. Callers of all
threads share its loop, so that what they enqueue at once travels in one commit.
"""

import asyncio
import atexit
import contextvars
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from headrace.errors import UsageError

T = TypeVar("T")
_CLOSING = 5.0
_Errand = Callable[[], None]
_Closer = Callable[[], Awaitable[None]]


class Portal:
    """A daemon thread that runs an event loop.

    Attributes:
        loop: what runs there.
    """

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
        self._closers: list[_Closer] = []
        self._thread = threading.Thread(target=self._run, name="headrace-portal", daemon=True)
        self._thread.start()

    def call(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the loop and wait for it, in the context of the caller.

        What it sends back by `on_callers_thread` runs here meanwhile. Who is interrupted while it
        waits cancels the coroutine.
        """
        errands: SimpleQueue[_Errand | None] = SimpleQueue()
        done: Future[T] = Future()
        done.add_done_callback(lambda _: errands.put(None))
        context = contextvars.copy_context()
        context.run(_errands.set, errands)
        began: list[asyncio.Task[None]] = []

        async def run() -> None:
            try:
                done.set_result(await make())
            except BaseException as exc:  # noqa: BLE001 - it is the caller's
                done.set_exception(exc)

        def begin() -> None:
            began.append(self.loop.create_task(run(), context=context))

        self.loop.call_soon_threadsafe(begin)
        try:
            while (errand := errands.get()) is not None:
                errand()
        except BaseException:
            self.loop.call_soon_threadsafe(lambda: [task.cancel() for task in began])
            raise
        return done.result()

    def at_close(self, closer: _Closer) -> None:
        """Await this, in the loop, when the process ends; once, however often it is asked for."""
        if closer not in self._closers:
            self._closers.append(closer)

    def close(self) -> None:
        """Say good-bye, in bounded time, and end the thread."""
        closing = asyncio.run_coroutine_threadsafe(self._close(), self.loop)
        try:
            closing.result(_CLOSING)
        except TimeoutError:
            closing.cancel()  # a server that does not answer keeps no process
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_CLOSING)

    async def _close(self) -> None:
        await asyncio.gather(*(closer() for closer in self._closers), return_exceptions=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()


_errands: contextvars.ContextVar[SimpleQueue[_Errand | None] | None] = contextvars.ContextVar(
    "headrace_errands", default=None
)
_lock = threading.Lock()
_portals: list[Portal] = []
# Of the parent, as are their connections: kept, so that nobody closes those.
_inherited: list[Portal] = []


def open_portal(instead: str) -> Portal:
    """The portal of this process.

    Args:
        instead: what to write where an event loop runs already.

    Raises:
        UsageError: an event loop runs in this thread, which would stand still meanwhile.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UsageError(
            f"an event loop runs in this thread and would stand still; write {instead}"
        )
    with _lock:
        if not _portals:
            _portals.append(Portal())
        return _portals[0]


def called_through_portal() -> bool:
    """Whether the coroutine that asks was called by a thread without an event loop."""
    return _errands.get() is not None


def callers_errands() -> Callable[[_Errand], None] | None:
    """What has something run on the thread that called through a portal, if one did."""
    errands = _errands.get()
    return None if errands is None else errands.put


async def on_callers_thread(act: Callable[[], T]) -> T:
    """Run something of the caller's on its own thread, if it called through a portal; else here.

    A connection or a session that is not async belongs to the thread that works with it.
    """
    errands = _errands.get()
    if errands is None:
        return act()
    result: Future[T] = Future()

    def errand() -> None:
        try:
            result.set_result(act())
        except BaseException as exc:  # noqa: BLE001 - it is the coroutine's
            result.set_exception(exc)

    errands.put(errand)
    return await asyncio.wrap_future(result)


def _begin_anew() -> None:
    global _lock  # noqa: PLW0603 - another thread may have held it when the process forked
    _lock = threading.Lock()
    _inherited.extend(_portals)
    _portals.clear()


def _close_portals() -> None:
    for portal in _portals:
        portal.close()
    _portals.clear()


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(_close_portals)
