"""The processes of a worker's handlers: warm ones are lent, worn ones are replaced."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable

from headrace.app import Headrace
from headrace.errors import HeadraceError
from headrace.model.verdict import describe
from headrace.worker.process.wire import (
    ANSWERED,
    Answered,
    Began,
    Done,
    Hello,
    Order,
    Prolonged,
    Ready,
    Told,
    Unfit,
    Wish,
    receive,
    send,
)

_log = logging.getLogger("headrace.worker")
_STARTING = 60.0
_CLOSING = 6.0  # a second more than a child gives its application


class ChildUnfit(HeadraceError):
    """A process could not start the application; `error` says why, as JSON."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class ChildDied(HeadraceError):
    """A process died.

    Attributes:
        begun: it had read the order, so the job is to blame.
        error: that of the job, as JSON.
        poison: the same where it was its last run.
    """

    def __init__(self, how: str, *, begun: bool) -> None:
        super().__init__(how)
        self.begun = begun
        self.error: str = describe("ProcessDied", f"the process of the handler {how}")
        self.poison: str = describe("Poison", f"the process of the handler {how}, alone")


class ChildProcess:
    """One of them, as the worker sees it.

    Attributes:
        jobs: how many it has run.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._begun = False
        self._wish: Wish | None = None
        self.jobs: int = 0

    @property
    def dead(self) -> bool:
        """Whether it is known to have ended."""
        return self._process.returncode is not None or self._reader.at_eof()

    async def greet(self, hello: Hello) -> None:
        """Have it start the application.

        Raises:
            ChildUnfit: it cannot.
            ChildDied: it died of it.
        """
        self._tell(hello)
        answer = await self._answer()
        if isinstance(answer, Unfit):
            raise ChildUnfit(answer.error)
        assert isinstance(answer, Ready)

    async def run(self, order: Order, prolonged: Callable[[float], None]) -> Done:
        """Have it run a job; `prolonged` hears of more time that the handler was granted.

        Raises:
            ChildDied: it died.
        """
        self.jobs += 1
        self._begun, self._wish = False, None
        self._tell(order)
        while True:
            match await self._answer():
                case Began():
                    self._begun = True
                    if self._wish is not None:
                        self._tell(self._wish)
                case Prolonged(seconds):
                    prolonged(seconds)
                case Done() as done:
                    return done
                case Ready() | Unfit() as answer:
                    raise AssertionError(f"{answer} answers no order")

    def wish(self, wish: Wish) -> None:
        """Somebody wants the job under way to end: told once the order is read.

        What a dying process has not read makes an error of its end, which hides what it said
        before: whether it had begun, so that a job of one attempt would start twice
        (test_process_executor.py).
        """
        self._wish = wish
        if self._begun:
            self._tell(wish)

    async def _answer(self) -> Answered:
        answer = await receive(self._reader, ANSWERED)
        if answer is None:
            raise ChildDied(_how(await self._process.wait()), begun=self._begun)
        return answer

    def _tell(self, message: Told) -> None:
        if not self._writer.is_closing():
            send(self._writer, message)

    def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)  # not .kill(): as in supervisor.py

    async def end(self) -> None:
        """Hang up, and wait until it has closed its application and ended."""
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSING):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()


class Children:
    """The processes of one worker.

    Args:
        app: whose tasks they run.
        most_jobs: after so many a process is replaced; None: never.
        most_memory: bytes of resident memory, after a job, above which it is; None: never.

    Attributes:
        quarantine: held by who runs a suspect, so that no two of them die together.
    """

    def __init__(self, app: Headrace, *, most_jobs: int | None, most_memory: int | None) -> None:
        self._app = app
        self._most_jobs = most_jobs
        self._most_memory = most_memory
        self._idle: list[ChildProcess] = []
        self._all: set[ChildProcess] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self.quarantine: asyncio.Lock = asyncio.Lock()
        self._starting: deque[asyncio.Task[ChildProcess]] = deque()

    def warm(self, n: int) -> None:
        """Have some ready before the first job comes."""
        self._starting.extend(asyncio.create_task(self._start()) for _ in range(n))

    async def lend(self) -> ChildProcess:
        """One that runs nothing.

        Raises:
            ChildUnfit: it cannot start the application.
            ChildDied: it died when it began.
        """
        while self._idle:
            child = self._idle.pop()
            if not child.dead:
                return child
            self._let_go(child)
        return await (self._starting.popleft() if self._starting else self._start())

    def take_back(self, child: ChildProcess, resident: int = 0) -> None:
        """It runs nothing any more, and takes so many bytes of memory."""
        worn = self._most_jobs is not None and child.jobs >= self._most_jobs
        large = self._most_memory is not None and resident > self._most_memory
        if worn or large:
            _log.info("a process for handlers is replaced after %d jobs", child.jobs)
            self._let_go(child)
        else:
            self._idle.append(child)

    def discard(self, child: ChildProcess) -> None:
        """It is not to run anything more: end it now."""
        child.kill()
        self._let_go(child)

    def abandon(self) -> None:
        """End all at once, without waiting for any."""
        for child in self._all:
            child.kill()

    async def close(self) -> None:
        """End all of them; none runs anything."""
        while self._starting:
            with contextlib.suppress(ChildUnfit, ChildDied):  # nobody needs it any more
                self._idle.append(await self._starting.popleft())
        while self._idle:
            self._let_go(self._idle.pop())
        if self._ending:
            await asyncio.wait(self._ending)

    def _let_go(self, child: ChildProcess) -> None:
        ending = asyncio.create_task(self._end(child), name="headrace:child ends")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _end(self, child: ChildProcess) -> None:
        await child.end()
        self._all.discard(child)

    async def _start(self) -> ChildProcess:
        ours, theirs = socket.socketpair()
        with theirs:
            level = logging.getLogger().getEffectiveLevel()
            module = f"{__package__}.child"
            command = (sys.executable, "-m", module, str(theirs.fileno()), str(level))
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        child = ChildProcess(process, reader, writer)
        self._all.add(child)
        modules = dict.fromkeys(task.fn.__module__ for task in self._app.tasks.values())
        try:
            async with asyncio.timeout(_STARTING):
                await child.greet(Hello(sys.path, list(modules), self._app.name))
        except TimeoutError:
            self.discard(child)
            slow = f"the application was not ready within {_STARTING:.0f} s"
            raise ChildUnfit(describe("Timeout", slow)) from None
        except BaseException:
            self.discard(child)
            raise
        return child


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
