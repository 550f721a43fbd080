"""One run of one job in a process of its own, as its worker sees it."""

import asyncio
import logging
import time
from datetime import timedelta
from uuid import UUID

from headrace.model.attempts import SUSPICIOUS
from headrace.model.job import Settlement
from headrace.model.outcome import Snooze
from headrace.model.verdict import failed, steered
from headrace.worker.attempt import Attempt
from headrace.worker.conclude import Conclusion
from headrace.worker.process.children import ChildDied, ChildProcess, Children, ChildUnfit
from headrace.worker.process.wire import Order, Wish

_log = logging.getLogger("headrace.worker")
_PATIENCE = 5.0


class ProcessAttempt(Attempt):
    """A handler's run in a child process, the one suspect there is if its worker died before.

    Its time begins when a process is there for it. At its deadline the process is killed, and five
    seconds after somebody wanted the job to end. A process that dies fails this attempt alone.
    """

    _child: ChildProcess | None = None

    async def run_in(
        self, children: Children, worker: UUID, runner: "asyncio.Task[None]"
    ) -> Settlement | Conclusion | None:
        """Run the handler; never raises, except at the worker's own end.

        Returns:
            None where there is no process for a suspect, whose task asks for none: nothing was run.
        """
        exchange = asyncio.create_task(self._alone(children, worker, runner))
        while not exchange.done():
            try:
                await asyncio.wait([exchange])
            except asyncio.CancelledError:
                if self._bystander.cancelled:
                    exchange.cancel()
                    raise
                runner.uncancel()  # a stray one frees no slot whose process still runs
        self._runner = None
        return exchange.result()

    async def _alone(
        self, children: Children, worker: UUID, runner: "asyncio.Task[None]"
    ) -> Settlement | Conclusion | None:
        if self.delivery.crashes < SUSPICIOUS:
            return await self._exchange(children, worker, runner)
        async with children.quarantine:
            return await self._exchange(children, worker, runner)

    async def _exchange(
        self, children: Children, worker: UUID, runner: "asyncio.Task[None]"
    ) -> Settlement | Conclusion | None:
        while True:
            try:
                child = await children.lend()
            except (ChildUnfit, ChildDied) as exc:
                if self.interrupted:
                    return self._not_begun()
                if self._task.in_process:
                    return self._failed(exc, exc.error)
                _log.warning("job %s cannot be run alone: %s", self.delivery.id, exc)
                return None
            if self.interrupted or self.cancellation is not None:
                children.take_back(child)
                return self._not_begun()
            try:
                self._begin(child, runner)
                done = await child.run(Order(self.delivery, worker), self._on_prolonged)
            except ChildDied as exc:
                children.discard(child)
                if exc.begun or self.expired or self.interrupted:
                    return self._failed(exc, self._blamed(exc))
                _log.info("a process for handlers was dead already: %s", exc)
            except BaseException:
                children.discard(child)
                raise
            else:
                children.take_back(child, done.resident)
                return done.ended
            finally:
                self._child = None

    def _begin(self, child: ChildProcess, runner: "asyncio.Task[None]") -> None:
        self._child, self._runner = child, runner
        self._began = time.monotonic()
        self._overdue_at = self._began + self._task.timeout_seconds
        self._soft_at = self._began + self._task.soft_seconds
        self._stuck_at = self._overdue_at + self._task.timeout_seconds

    def _on_prolonged(self, seconds: float) -> None:
        self.prolong(timedelta(seconds=seconds))

    def _cancel_handler(self) -> None:
        if self._child is None:
            return
        if self.cancellation is None or self.expired or self.interrupted:
            self._child.kill()
        else:
            self._child.wish(Wish(self.cancellation))
            self._overdue_at = min(self._overdue_at, time.monotonic() + _PATIENCE)
            self._soft_at = min(self._soft_at, self._overdue_at)

    def _expire(self, now: float) -> None:
        if self.cancellation is None:
            super()._expire(now)
        else:
            self.expired = True
            _log.warning(
                "job %s did not end when asked to; its process is killed", self.delivery.id
            )
            self._cancel_handler()

    def _not_begun(self) -> Settlement:
        return steered(self.delivery, Snooze("0s"), 0.0, timedelta())

    def _blamed(self, exc: ChildDied) -> str:
        return exc.poison if self.delivery.last_to_fail else exc.error

    def _failed(self, exc: ChildUnfit | ChildDied, error: str) -> Settlement:
        if self.expired:
            self._blame(self.timed_out())
        elif not self.interrupted:
            self._blame(exc)
        error = self._why_asked() or error
        return failed(self.delivery, error, self.elapsed, self.retry_delay())
