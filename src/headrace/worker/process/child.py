"""The process of handlers: `python -m headrace.worker.process.child FD`, started by a worker.

It has the application started for itself, as the worker has, and runs one attempt at a time, as the
worker would. It ends with its worker: whoever dies leaves nobody behind.
"""

import asyncio
import contextlib
import contextvars
import logging
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from headrace.app import Headrace
from headrace.errors import ConfigError
from headrace.model.job import Delivery, Settlement
from headrace.model.redaction import Redaction
from headrace.model.shown import stack_of, words
from headrace.model.verdict import describe
from headrace.task import Task
from headrace.telemetry.logs import configure
from headrace.worker.apart import Apart
from headrace.worker.attempt import Attempt
from headrace.worker.batches import Batches
from headrace.worker.bystander import Bystander
from headrace.worker.conclude import Conclusion, conclude
from headrace.worker.context import AttemptContext
from headrace.worker.notes import Teller
from headrace.worker.process.wire import (
    TOLD,
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
from headrace.worker.reporter import Reporter

_log = logging.getLogger("headrace.worker")
_CLOSING = 5.0
_HANGUP = getattr(select, "POLLRDHUP", select.POLLHUP)  # Linux tells of a closed peer by its own


class Child:
    """One process of handlers.

    Args:
        link: to the worker.
    """

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._bystander = Bystander()
        self._threads = ThreadPoolExecutor(1, "headrace-handler")
        self._attempt: Attempt | None = None
        self._running: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Run what the worker orders, until it hangs up."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._link)
        hello = await receive(reader, TOLD)
        if not isinstance(hello, Hello):
            return
        self._bystander.start()
        try:
            app = _find(hello)
        except Exception as exc:  # noqa: BLE001 - a module of the application's can raise anything
            await self._refuse(exc)
            return
        self._reporter = Reporter(app.error_hooks)
        async with contextlib.AsyncExitStack() as living:
            try:
                await living.enter_async_context(app)
                self._teller = Teller(
                    app.engine.tell, Redaction(app.settings.redact), app.engine.herald
                )
                await living.enter_async_context(app.living())
            except Exception as exc:  # noqa: BLE001 - as above: a hook of the application's
                await self._refuse(exc)
                return
            send(self._writer, Ready())
            while (told := await receive(reader, TOLD)) is not None:
                self._heed(app, told)
            await self._reporter.close()
            self._teller.close()

    async def _refuse(self, exc: Exception) -> None:
        name = type(exc).__name__
        send(self._writer, Unfit(describe(name, words(exc) or name, stack_of(exc))))
        await self._writer.drain()

    def watch(self) -> None:
        """End with the worker, whatever the handler does to the event loop. Runs in a thread."""
        poll = select.poll()
        poll.register(self._link.fileno(), _HANGUP)
        poll.poll()
        if self._attempt is None:
            time.sleep(_CLOSING)  # what the application closes has that long
        os._exit(os.EX_SOFTWARE)

    def _heed(self, app: Headrace, told: Told) -> None:
        match told:
            case Order():
                send(self._writer, Began())
                self._running = asyncio.create_task(self._run(app, told))
                self._running.add_done_callback(_end_by_defect)
            case Wish() if self._attempt is not None:
                self._attempt.cancel(told.cancellation)
            case Hello() | Wish():
                pass  # said already; too late

    async def _run(self, app: Headrace, order: Order) -> None:
        here = asyncio.current_task()
        assert here is not None
        delivery = order.delivery
        attempt = _Told(delivery, app.tasks[delivery.task], self._bystander, self._tell)
        self._attempt = attempt
        context = AttemptContext(
            app.engine, delivery, here.get_loop(), attempt, self._teller, Batches(1)
        )
        variables = contextvars.copy_context()
        ended: Settlement | Conclusion
        ended = settlement = await attempt.run(context, variables, here, self._threads)
        context.over = True
        if context.alarm is not None:
            context.alarm.end()
        if context.notes is not None:
            await self._teller.finish(context.notes)
        if context.transacting:
            closing = conclude(order.worker, attempt, context, settlement, self._bystander)
            ended = await Apart(closing, variables)
        self._attempt = None
        if attempt.raised is not None:
            variables.run(self._reporter.tell, context, attempt.raised)
            attempt.raised = None  # whose frames know the attempt
        send(self._writer, Done(ended, _resident()))

    def _tell(self, message: Answered) -> None:
        send(self._writer, message)


class _Told(Attempt):
    """An attempt whose deadline the worker watches, from outside."""

    def __init__(
        self,
        delivery: Delivery,
        task: Task[..., Any],
        bystander: Bystander,
        tell: Callable[[Answered], None],
    ) -> None:
        super().__init__(delivery, task, _never, bystander)
        self._tell = tell

    def prolong(self, longer: timedelta) -> None:
        """Have the worker move the deadline."""
        self._tell(Prolonged(longer.total_seconds()))


def _end_by_defect(running: "asyncio.Task[None]") -> None:
    """An attempt answers always; where it cannot, the worker must not wait until its timeout."""
    if not running.cancelled() and (defect := running.exception()) is not None:
        _log.critical("a process for handlers ends by a defect", exc_info=defect)
        os._exit(os.EX_SOFTWARE)


def _never(attempt: Attempt) -> None:
    raise AssertionError(f"nobody looks at the deadline of {attempt} here")


def _find(hello: Hello) -> Headrace:
    """The application whose tasks these modules define.

    Raises:
        ConfigError: none of them holds one of its tasks.
    """
    sys.path[:] = hello.paths
    found: Headrace | None = None
    for module in hello.modules:
        for value in vars(import_module(module)).values():
            owner = value._app if isinstance(value, Task) else value  # noqa: SLF001 - whose task it is
            if isinstance(owner, Headrace) and owner.name == hello.application:
                found = owner
    if found is None:
        raise ConfigError(
            f'no task of "{hello.application}" is at the top level of {", ".join(hello.modules)}, '
            "so that a process of its own cannot find it; define it there"
        )
    return found


def _resident() -> int:
    """Bytes of memory that this process takes now; on macOS the most that it ever took."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Serve the worker at the other end of a file descriptor; arguments: that, the log level."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Those of a terminal or a process group are for the worker, which tells us what follows.
        # No SIG_IGN: what a handler starts would inherit that.
        signal.signal(number, lambda *_: None)
    configure(int(sys.argv[2]))
    with contextlib.suppress(OSError):  # where there is no such file nobody chooses by it
        # If memory runs out, rather this process than the worker.
        Path("/proc/self/oom_score_adj").write_text("500")
    child = Child(socket.socket(fileno=int(sys.argv[1])))
    threading.Thread(target=child.watch, name="headrace-watch", daemon=True).start()
    asyncio.run(child.serve())


if __name__ == "__main__":
    main()
