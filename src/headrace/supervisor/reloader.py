"""One worker process that is started anew whenever a source file changes."""

import asyncio
import contextlib
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterable, Sequence

from headrace.supervisor.signals import draining
from headrace.worker.end_process import EX_SOFTWARE

_log = logging.getLogger("headrace.dev")
_PAUSE = 1.0


class Reloader:
    """Runs a command until told to end.

    When something changes the process drains (SIGTERM) and a new one takes its place; there is
    never more than one. Where it ends by itself with an error that it has told, as an application
    that cannot be imported is, only a change can mend that: then nothing runs until the next one.
    A process that was killed, or was stuck, is replaced at once.

    The child's standard input is a pipe that this process holds open, as a supervisor's.

    Args:
        command: what to run.
        changes: sentences that name what changed, as it happens.
        patience: seconds from SIGTERM to SIGKILL.
    """

    def __init__(
        self, command: Sequence[str], changes: AsyncIterable[str], *, patience: float
    ) -> None:
        self._command = list(command)
        self._changes = changes
        self._patience = patience
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._child: Process | None = None

    async def run(self) -> None:
        """Run until SIGINT or SIGTERM; a second one kills what does not end."""
        watching = asyncio.create_task(self._watch())
        watching.add_done_callback(lambda _: self._ended.set())
        with draining(self._ended.set, self._kill):
            while not self._ended.is_set():
                self._changed.clear()  # the process that starts now sees all changes so far
                await self._run_one()
        if watching.done():
            watching.result()  # what else would tell of changes has failed
        watching.cancel()
        await asyncio.wait([watching])

    async def _watch(self) -> None:
        async for words in self._changes:
            _log.info("%s changed", words)
            self._changed.set()

    async def _run_one(self) -> None:
        """Run a process until it has to make room; returns when another one may start."""
        child = self._child = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, start_new_session=True
        )
        over = asyncio.create_task(child.wait())
        await self._first(over)
        if not over.done():
            await self._end(child, over)
        elif not (self._ended.is_set() or self._changed.is_set()):
            await self._mourn(over.result())

    async def _mourn(self, status: int) -> None:
        if status < 0 or status == EX_SOFTWARE:
            _log.error("the worker ended with status %d; a new one starts", status)
            await self._first(asyncio.create_task(asyncio.sleep(_PAUSE)))
        else:
            _log.error(
                "the worker ended with status %d; nothing runs until the next change", status
            )
            await self._first()

    async def _first(self, *what: "asyncio.Task[object]") -> None:
        """Until something changes, it is time to end, or this is done."""
        waits = [asyncio.create_task(one.wait()) for one in (self._changed, self._ended)]
        await asyncio.wait([*what, *waits], return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()

    async def _end(self, child: Process, over: "asyncio.Task[int]") -> None:
        _send(child, signal.SIGTERM)
        done, _ = await asyncio.wait([over], timeout=self._patience)
        if not done:
            _log.warning("the worker did not drain in %.0f s: it is killed", self._patience)
            self._kill()
        await over

    def _kill(self) -> None:
        if self._child is not None:
            _send(self._child, signal.SIGKILL)


def _send(child: Process, number: signal.Signals) -> None:
    # As in supervisor.py: not child.send_signal(), which takes the status away from asyncio.
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, number)
