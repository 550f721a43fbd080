"""The mailroom's worker processes: those that die are told of and replaced."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

_GRACE = 5  # seconds that running jobs get at the end
_PATIENCE = 8.0  # seconds until a worker that does not end is killed
_SHORTEST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_STEADY = 10.0
_LONGEST_LINE = 1 << 20  # of a log


class Crew:
    """Keeps `n` processes of `headrace worker` alive. Use it with `async with`.

    Args:
        n: how many.
        queues: what they serve, with the slots of each.
        tell: called with a sentence when one dies, and when another has taken its place.
    """

    def __init__(self, n: int, queues: Mapping[str, int], tell: Callable[[str], None]) -> None:
        self._n = n
        options = [f"--queue={queue}:{slots}" for queue, slots in queues.items()]
        self._command = [
            *(sys.executable, "-m", "headrace", "worker", "headrace.mailroom.app:app"),
            *(*options, "--supervised", "--grace", f"{_GRACE}s"),
        ]
        self._tell = tell
        self._ready: dict[int, None] = {}
        self._any_ready = asyncio.Event()
        self._children: set[Process] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._ending = asyncio.Event()

    async def kill_oldest(self) -> None:
        """End the process that has worked longest with SIGKILL, once there is one that works."""
        await self._any_ready.wait()
        with contextlib.suppress(ProcessLookupError):
            os.kill(next(iter(self._ready)), signal.SIGKILL)

    async def work(self) -> None:
        """Wait until one of them works."""
        await self._any_ready.wait()

    async def __aenter__(self) -> Self:
        self._keepers = [asyncio.create_task(self._keep()) for _ in range(self._n)]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._send(signal.SIGTERM)
        _, late = await asyncio.wait(self._keepers, timeout=_PATIENCE)
        if late:
            self._send(signal.SIGKILL)
        await asyncio.gather(*self._keepers)

    async def _keep(self) -> None:
        pause, takes_place = _SHORTEST_PAUSE, False
        while not self._ending.is_set():
            began = time.monotonic()
            how = await self._run_one(takes_place=takes_place)
            if self._ending.is_set():
                return
            pause = _SHORTEST_PAUSE if time.monotonic() - began > _STEADY else pause
            self._tell(f"{how}: its jobs run again once its lease is over")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), pause)
            pause, takes_place = min(pause * 2, _LONGEST_PAUSE), True

    async def _run_one(self, *, takes_place: bool) -> str:
        """Run a process to its end; returns how it died."""
        child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=PIPE,
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
        self._children.add(child)
        if self._ending.is_set():
            self._send(signal.SIGTERM)
        try:
            words = await self._listen(child, takes_place=takes_place)
            status = await child.wait()
        finally:
            self._children.discard(child)
            self._ready.pop(child.pid, None)
            if not self._ready:
                self._any_ready.clear()
        if status < 0:
            return f"worker {child.pid} died by {signal.Signals(-status).name}"
        return f"worker {child.pid} ended with status {status}" + (f" ({words})" if words else "")

    async def _listen(self, child: Process, *, takes_place: bool) -> str:
        """Hear when it is ready; returns the last it said when it has ended."""
        assert child.stderr is not None
        last = deque[str](maxlen=1)
        async for line in child.stderr:
            last.append(_message(line))
            if "is ready" in last[0] and child.pid not in self._ready:
                self._ready[child.pid] = None
                self._any_ready.set()
                if takes_place:
                    self._tell(f"worker {child.pid} takes its place")
        return last[0] if last else ""

    def _send(self, number: signal.Signals) -> None:
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)


def _message(line: bytes) -> str:
    """What a line of its log says."""
    text = line.decode(errors="replace").strip()
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
