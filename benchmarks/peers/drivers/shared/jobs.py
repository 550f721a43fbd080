"""The jobs of all peers on Python: what they carry, what they do, and how they tell of it."""

import asyncio
import itertools
import mmap
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, TypedDict

FIRST = 1_000_000  # seven digits each, so that all payloads are of one size
_THREADS = ThreadPoolExecutor(50)  # the interpreter's own pool has six on two cores
_ROOM = 2_000_000  # marks a process, in a file with holes
_FILLING = "x" * (200 - len('{"i": 1000000, "x": ""}'))


class Payload(TypedDict):
    """200 bytes of JSON: the number of the job and filling."""

    i: int
    x: str


def payload(number: int) -> Payload:
    """What the job of this number carries."""
    return {"i": number, "x": _FILLING}


class Marks:
    """Writes when each job began: a file a process, shared with the harness through memory.

    The file begins with the number of marks and a free field, then number and start of each job
    (nanoseconds of CLOCK_MONOTONIC), all as unsigned 64-bit integers.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._numbers = itertools.count()
        self._view: memoryview[int] | None = None
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self, number: int) -> None:
        """Mark the start of a job."""
        view = self._view
        if view is None:
            view = self._open()
        n = next(self._numbers)  # one step for the interpreter, so that threads share it
        if n < _ROOM:
            view[2 * n + 3] = time.monotonic_ns()
            view[2 * n + 2] = number
            view[0] = n + 1

    def _open(self) -> "memoryview[int]":
        with self._lock:
            if self._view is None:
                self._view = self._map()
            return self._view

    def _map(self) -> "memoryview[int]":
        path = Path(os.environ["PEER_MARKS"]) / f"{os.getpid()}.marks"
        with path.open("w+b") as file:
            file.truncate(16 * (_ROOM + 1))
            return memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")

    def _forget(self) -> None:
        self._numbers = itertools.count()
        self._view = None


mark = Marks()
HOLDS = os.environ.get("PEER_HOLD") == "1"


# The handlers take a payload's two fields, so that a peer may register them as they are.
async def noop(i: int, x: str = "") -> None:  # noqa: ARG001 - filling
    """Do nothing."""
    mark(i)


async def sleep(i: int, x: str = "") -> None:  # noqa: ARG001 - as above
    """Wait 5 ms without holding a thread."""
    mark(i)
    await asyncio.sleep(0.005)


def block(i: int, x: str = "") -> None:  # noqa: ARG001 - as above
    """Hold a thread for 5 ms."""
    mark(i)
    time.sleep(0.005)


async def block_in_thread(i: int, x: str = "") -> None:  # noqa: ARG001 - as above
    """The same, for peers that run coroutines only."""
    await asyncio.get_running_loop().run_in_executor(_THREADS, block, i)


async def hold(i: int, x: str = "") -> None:  # noqa: ARG001 - as above
    """Run until killed; in a process that does not hold, end at once."""
    mark(i)
    while HOLDS:
        await asyncio.sleep(3600)


# For peers whose handlers are plain functions.
def sync_noop(i: int, x: str = "") -> None:  # noqa: ARG001 - as above
    """Do nothing."""
    mark(i)


def sync_sleep(i: int, x: str = "") -> None:  # noqa: ARG001 - as above
    """The coroutine of 5 ms, in a peer that has no event loop of its own."""
    asyncio.run(sleep(i))


def sync_hold(i: int, x: str = "") -> None:  # noqa: ARG001 - as above
    """Run until killed; in a process that does not hold, end at once."""
    mark(i)
    while HOLDS:
        time.sleep(3600)


Handler = Callable[..., Any]
# By task: for peers that run both kinds of functions, coroutines only, plain functions only.
HANDLERS: dict[str, Handler] = {"noop": noop, "sleep": sleep, "block": block, "hold": hold}
ASYNC_HANDLERS: dict[str, Handler] = {**HANDLERS, "block": block_in_thread}
SYNC_HANDLERS: dict[str, Handler] = {
    "noop": sync_noop,
    "sleep": sync_sleep,
    "block": block,
    "hold": sync_hold,
}
