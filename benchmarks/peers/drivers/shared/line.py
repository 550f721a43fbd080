"""What all Python drivers share: orders as lines of JSON, and who obeys them.

A driver is run as `DRIVER.py produce`, which obeys orders from standard input, or as `DRIVER.py
work CONCURRENCY`, a worker process until it is killed. The environment names the servers
(PEER_DATABASE_URL, PEER_REDIS_URL), the variant (PEER_VARIANT) and the folder of marks
(PEER_MARKS); PEER_HOLD=1 makes jobs of the task `hold` run for ever.
"""

import asyncio
import inspect
import itertools
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from threading import Lock, Thread
from typing import Any, Protocol

from jobs import FIRST, Payload, payload

DATABASE_URL = os.environ.get("PEER_DATABASE_URL", "")
REDIS_URL = os.environ.get("PEER_REDIS_URL", "")
VARIANT = os.environ.get("PEER_VARIANT", "")
CALLERS = 100
BULK = 1000  # jobs a call, unless the peer's documentation says otherwise


@dataclass(frozen=True)
class Facts:
    """What the table says of a peer.

    Attributes:
        docs: the page of its documentation that the settings come from.
        settings: those that make it fast, in a few words.
        durability: what survives what.
        cannot: what it has not, in a few words.
    """

    docs: str
    settings: str
    durability: str
    cannot: str = ""


class Producer(Protocol):
    """What a driver's producer can do; in a synchronous peer the methods are plain functions."""

    def open(self) -> Awaitable[None] | None:
        """Connect."""
        ...

    def enqueue(self, task: str, job: Payload) -> Awaitable[object] | object:
        """Enqueue one job; durable, as far as the peer goes, when it returns."""
        ...

    def held(self) -> Awaitable[int] | int:
        """How many unfinished jobs the peer still keeps."""
        ...

    def close(self) -> Awaitable[None] | None:
        """Disconnect."""
        ...


class BulkProducer(Producer, Protocol):
    """A producer with a call for many jobs."""

    def bulk(self, task: str, jobs: Sequence[Payload]) -> Awaitable[object] | object:
        """Enqueue many jobs in one call."""
        ...


@dataclass
class Driver:
    """A peer.

    Attributes:
        facts: for the table.
        producer: makes what enqueues.
        work: runs a worker process with so many jobs at once, for ever.
        install: prepares an empty database.
        bulk: jobs a bulk call; 0 where the peer has none.
        run: runs a coroutine in the event loop that the peer recommends.
    """

    facts: Facts
    producer: Callable[[], Any]
    work: Callable[[int], None]
    install: Callable[[], Awaitable[None] | None] | None = None
    bulk: int = 0
    run: Callable[[Any], None] = asyncio.run

    def main(self) -> None:
        """Do as the command line says."""
        if sys.argv[1] == "work":
            Thread(target=_end_with_harness, daemon=True).start()
            self.work(int(sys.argv[2]))
        else:
            orders = _Orders(self)
            self.run(orders.obey())


def _end_with_harness() -> None:
    os.read(0, 1)  # nothing is ever sent; the end of the input is the end of the harness
    os._exit(1)


class _Orders:
    """Reads a line, does it, answers by a line."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._numbers = itertools.count(FIRST)
        # Whatever a library prints goes to the log.
        self._answers = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)

    async def obey(self) -> None:
        """Until the input ends."""
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            verb = getattr(self, f"_do_{order.pop('do')}")
            try:
                answer = {"ok": await verb(**order)}
            except Exception as exc:  # noqa: BLE001 - the harness tells it and goes on
                answer = {"error": f"{type(exc).__name__}: {exc}"}
            self._answers.write(json.dumps(answer) + "\n")

    async def _do_facts(self) -> dict[str, object]:
        return {**asdict(self._driver.facts), "bulk": self._driver.bulk}

    async def _do_install(self) -> None:
        if self._driver.install is not None:
            await _done(self._driver.install())

    async def _do_open(self, first: int = FIRST) -> None:
        self._numbers = itertools.count(first)
        self._producer = self._driver.producer()
        await _done(self._producer.open())

    async def _do_held(self) -> object:
        return await _done(self._producer.held())

    async def _do_close(self) -> None:
        await _done(self._producer.close())

    async def _do_enqueue(self, how: str, task: str, n: int, seconds: float) -> dict[str, float]:
        """In one of three ways; fewer than `n` where the time is over."""
        ways = {"single": self._singly, "concurrent": self._concurrently, "bulk": self._bulk}
        return await self._timed(ways[how], task, n, seconds)

    async def _do_latency(self, n: int, gap: float) -> list[tuple[int, int]]:
        """Number and time of the call, of jobs that are enqueued with a gap between them."""
        calls = []
        for number in itertools.islice(self._numbers, n):
            await asyncio.sleep(gap * (0.5 + (number * 0.618) % 1))  # in step with no poll
            job = payload(number)
            calls.append((number, time.monotonic_ns()))
            await _done(self._producer.enqueue("noop", job))
        return calls

    async def _timed(
        self, how: Callable[[str, Iterator[Payload]], Awaitable[int]], task: str, n: int,
        seconds: float,
    ) -> dict[str, float]:  # fmt: skip
        jobs = _until(time.monotonic() + seconds, itertools.islice(self._numbers, n))
        began = time.monotonic()
        done = await how(task, jobs)
        return {"n": done, "began": began, "seconds": time.monotonic() - began}

    async def _singly(self, task: str, jobs: Iterator[Payload]) -> int:
        enqueue = self._producer.enqueue
        n = 0
        for job in jobs:
            if (waits := enqueue(task, job)) is not None and hasattr(waits, "__await__"):
                await waits
            n += 1
        return n

    async def _concurrently(self, task: str, jobs: Iterator[Payload]) -> int:
        if inspect.iscoroutinefunction(self._producer.enqueue):
            callers = (self._singly(task, jobs) for _ in range(CALLERS))
            return sum(await asyncio.gather(*callers))
        shared = _Shared(jobs)
        with ThreadPoolExecutor(CALLERS) as pool:
            loop = asyncio.get_running_loop()
            callers_ = (
                loop.run_in_executor(pool, self._call, task, shared) for _ in range(CALLERS)
            )
            return sum(await asyncio.gather(*callers_))

    def _call(self, task: str, jobs: "_Shared") -> int:
        n = 0
        for job in jobs:
            self._producer.enqueue(task, job)
            n += 1
        return n

    async def _bulk(self, task: str, jobs: Iterator[Payload]) -> int:
        n = 0
        while some := list(itertools.islice(jobs, self._driver.bulk)):
            await _done(self._producer.bulk(task, some))
            n += len(some)
        return n


class _Shared:
    """An iterator that threads may share: a generator would refuse the second of them."""

    def __init__(self, jobs: Iterator[Payload]) -> None:
        self._jobs = jobs
        self._lock = Lock()

    def __iter__(self) -> Iterator[Payload]:
        return self

    def __next__(self) -> Payload:
        with self._lock:
            return next(self._jobs)


def _until(end: float, numbers: Iterator[int]) -> Iterator[Payload]:
    for number in numbers:
        if time.monotonic() > end:
            return
        yield payload(number)


async def _done(result: Any) -> Any:
    return await result if hasattr(result, "__await__") else result
