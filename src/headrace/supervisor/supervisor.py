"""Several worker processes, kept alive: a crashed one is replaced."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Sequence

from headrace.supervisor.signals import draining

_log = logging.getLogger("headrace.supervisor")
_SHORTEST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_STEADY = 60.0


class Supervisor:
    """Runs a command in `n` processes until told to drain.

    In a burst a process that ends with status 0 has finished and is not replaced; any other end
    that nobody asked for is a crash. Crashes soon after a start are replaced more and more slowly.

    Each child's standard input is a pipe that this process holds open: it ends with us, so a child
    that reads its end drains instead of living on alone.
    """

    def __init__(self, command: Sequence[str], n: int, *, burst: bool = False) -> None:
        self._command = list(command)
        self._n = n
        self._burst = burst
        self._children: set[asyncio.subprocess.Process] = set()
        self._draining = asyncio.Event()

    async def run(self) -> int:
        """Run all; returns the worst exit status of those that were not replaced."""
        with draining(self.drain, self.kill):
            statuses = await asyncio.gather(*(self._keep(place) for place in range(self._n)))
        return max(statuses)

    def drain(self) -> None:
        """Ask every process to drain; none is replaced any more."""
        self._draining.set()
        for child in self._children:
            _send(child, signal.SIGTERM)

    def kill(self) -> None:
        """End every process at once; their jobs run again after the lease."""
        for child in self._children:
            _send(child, signal.SIGKILL)

    async def _keep(self, place: int) -> int:
        pause = _SHORTEST_PAUSE
        while True:
            began = time.monotonic()
            status = await self._run_one(place)
            if (status == 0 and self._burst) or self._draining.is_set():
                return _exit_status(status)
            if time.monotonic() - began > _STEADY:
                pause = _SHORTEST_PAUSE
            _log.error(
                "worker process %d ended with status %d; a new one starts in %.1f s",
                place,
                status,
                pause,
            )
            try:
                async with asyncio.timeout(pause):
                    await self._draining.wait()
            except TimeoutError:
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return 0

    async def _run_one(self, place: int) -> int:
        child = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, start_new_session=True
        )
        self._children.add(child)
        _log.info("worker process %d is pid %d", place, child.pid)
        try:
            if self._draining.is_set():
                _send(child, signal.SIGTERM)
            return await child.wait()
        finally:
            self._children.discard(child)


def _exit_status(status: int) -> int:
    """A child's end as a shell would tell it; SIGTERM is how it was asked to."""
    if status == -signal.SIGTERM:
        return 0
    return status if status >= 0 else 128 - status


def _send(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # Not child.send_signal(): it looks first whether the child has ended, and so takes its status
    # away from asyncio, which then makes one up.
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, number)
