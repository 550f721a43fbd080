"""The worker: one process's share of the work.

1. registers an identity, whose lease a heartbeat keeps;
2. a fetcher a queue takes jobs for the free slots;
3. an executor a queue runs them;
4. the settler writes the outcomes;
5. on `stop` it gives back what has not started and waits for what runs; on cancellation not for
   ever.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from headrace.app import Headrace
from headrace.connect import connect
from headrace.errors import LedgerUnavailable
from headrace.model.job import Beat, Ending
from headrace.model.redaction import Redaction
from headrace.model.state import Stored
from headrace.worker.attempt import Attempt
from headrace.worker.culprit import Culprit, find_culprit
from headrace.worker.executor import Executor
from headrace.worker.fetcher import Fetcher
from headrace.worker.gate import Gate
from headrace.worker.hand import Hand
from headrace.worker.heartbeat import Heartbeat
from headrace.worker.identity import Identity
from headrace.worker.listener import Listener
from headrace.worker.lookout import Lookout
from headrace.worker.notes import Teller
from headrace.worker.pace import Pace
from headrace.worker.process.children import Children
from headrace.worker.reporter import Reporter
from headrace.worker.rescue import Rescue
from headrace.worker.runner import Runner
from headrace.worker.settler import Settler

_log = logging.getLogger("headrace.worker")
CONCURRENCY = 10
GRACE = 30.0
_CLOSING = 5.0
_SOON = 1.0


class Worker:
    """Runs the jobs of some queues in this process.

    Args:
        app: a started application.
        queues: concurrency by queue.
        grace: seconds that running jobs get when the worker stops.
        pace: what each queue goes by when it decides how much to hold ahead of its slots.
    """

    def __init__(
        self,
        app: Headrace,
        queues: Mapping[str, int],
        *,
        grace: float = GRACE,
        pace: Callable[[], Pace] = Pace,
    ) -> None:
        self._app = app
        self._queues = dict(queues)
        lease = app.settings.lease.total_seconds()
        self._grace = grace
        self._identity = Identity(app.engine, self._queues, lease)
        self._children = Children(
            app, most_jobs=app.settings.child_jobs, most_memory=app.settings.child_memory
        )
        self._gate = Gate(lambda: app.engine.limiter, app.tasks, app.queue_limits)
        self._settler = Settler(app.engine, self._on_settled, self.fail)
        self._reporter = Reporter(app.error_hooks)
        self._redaction = Redaction(app.settings.redact)
        self._teller = Teller(app.engine.tell, self._redaction, app.engine.herald)
        self._executors: dict[str, Executor] = {}
        self._fetchers: dict[str, Fetcher] = {}
        self._empty: set[str] = set()
        self._changed = asyncio.Event()
        self._done = asyncio.Event()
        self._defect = asyncio.Event()
        self._stuck: list[Attempt] = []
        self._broken: BaseException | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        for queue, concurrency in self._queues.items():
            self._staff(queue, concurrency, pace())
        self._listener = Listener(app.engine, lambda: self.id, self._free, self.wake, self.fail)
        self._lookout = Lookout(app.engine, self._fetchers, self._on_still_empty, self.fail)
        self._heartbeat = Heartbeat(
            engine=lambda: connect(app.settings),
            hand=lambda: self._hand,
            beaten=self._on_beaten,
            blocked=self._on_blocked,
            rescue=Rescue(self._settler.unwritten),
            failed=self.fail,
            interval=lease / 3,
        )

    @property
    def id(self) -> UUID:
        """The current identity."""
        return self._hand.worker

    @property
    def _hand(self) -> Hand:
        return self._identity.hand

    async def start(self) -> None:
        """Register and begin to take jobs."""
        self._loop = asyncio.get_running_loop()
        await self._app.declare()
        await self._identity.register()
        self._heartbeat.start()
        for queue in self._queues:
            self._executors[queue].start()
            self._fetchers[queue].loop.start()
        apart = {task.queue for task in self._app.tasks.values() if task.in_process}
        slots_apart = sum(slots for queue, slots in self._queues.items() if queue in apart)
        self._children.warm(min(slots_apart, os.cpu_count() or 1))
        self._listener.loop.start()
        self._lookout.loop.start()
        slots = ", ".join(f"{queue} ({slots} at a time)" for queue, slots in self._queues.items())
        _log.info("the worker is ready: %d tasks, queues %s", len(self._app.tasks), slots)

    async def run(self, *, burst: bool = False) -> None:
        """Work until `finish` is called, or in a burst until nothing is due and nothing runs.

        Cancelled, it drains all the same, but no longer than the grace and a few seconds: what
        still runs then, or is not written, counts as cut short. A second cancellation ends the
        patience at once.

        Raises:
            RuntimeError: a job was stuck past its second timeout, or a defect ended a service; the
                worker has drained, but what is stuck may still be there: end the process.
        """
        try:
            await self.start()
            if burst:
                await self._until_idle()
            else:
                await self._done.wait()
            await self._end()
        except (asyncio.CancelledError, Exception):
            await self._stop_in_time()
            raise
        if self._broken is not None:
            raise RuntimeError(f"the worker ended: {self._broken}") from self._broken

    def finish(self) -> None:
        """Let `run` drain and return."""
        self._done.set()
        self._changed.set()

    def wake(self, queue: str) -> None:
        """Jobs may be there."""
        if queue in self._fetchers:
            self._fetchers[queue].loop.wake()

    def hurry(self) -> None:
        """Beat, and look for jobs, at once: who gives out jobs has changed."""
        self._heartbeat.hurry()
        for queue in self._queues:
            self.wake(queue)

    async def stop(self) -> None:
        """Take nothing more, release what has not started, wait for what runs, settle, leave.

        Stopping twice is the same as once. Who is cancelled while it waits does not cut it off.
        """
        await asyncio.shield(self._begin_to_stop())

    async def _end(self) -> None:
        """Drain; what is stuck, before or meanwhile, is waited for no longer than the grace."""
        stopping = self._begin_to_stop()
        broken = asyncio.create_task(self._defect.wait())
        try:
            await asyncio.wait({stopping, broken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            broken.cancel()
        await (self.stop() if stopping.done() else self._stop_in_time())

    def _begin_to_stop(self) -> "asyncio.Task[None]":
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._drain_and_leave())
        return self._stopping

    async def _stop_in_time(self) -> None:
        stopping = self._begin_to_stop()
        try:
            await asyncio.wait({stopping}, timeout=self._grace + _CLOSING)
        finally:
            if not stopping.done():
                self._abandon()
        await asyncio.wait({stopping}, timeout=_CLOSING)
        stopping.cancel()

    async def _drain_and_leave(self) -> None:
        running = sum(len(executor.attempts) for executor in self._executors.values())
        _log.info("the worker ends: it takes nothing more, %d jobs still run", running)
        try:
            await self._drain()
        finally:
            await self._heartbeat.stop()
            await self._identity.leave(self._stuck)

    async def _drain(self) -> None:
        fetching = [fetcher.loop.stop() for fetcher in self._fetchers.values()]
        await asyncio.gather(self._listener.stop(), self._lookout.loop.stop(), *fetching)
        draining = [executor.stop(self._grace) for executor in self._executors.values()]
        await asyncio.gather(self._identity.release(), self._gate.close(), *draining)
        self._teller.close()
        await self._children.close()
        await self._settler.drain()
        await self._reporter.close()
        await self._identity.settle_down()

    def _abandon(self) -> None:
        """Cut the draining off; what it waited for is left behind."""
        _log.error("the worker ends though jobs still run or outcomes are not written")
        self._heartbeat.abandon()
        self._listener.loop.abandon()
        self._lookout.loop.abandon()
        for fetcher in self._fetchers.values():
            fetcher.loop.abandon()
        for executor in self._executors.values():
            executor.abandon()
        self._children.abandon()
        self._settler.abandon()
        self._reporter.abandon()
        self._teller.close()
        self._begin_to_stop().cancel()

    def _staff(self, queue: str, concurrency: int, pace: Pace) -> None:
        of_queue = (task.batch for task in self._app.tasks.values() if task.queue == queue)
        runner = Runner(
            tasks=self._app.tasks,
            engine=self._app.engine,
            herald=self._app.engine.herald,
            children=self._children,
            gate=self._gate,
            settler=self._settler,
            reporter=self._reporter,
            teller=self._teller,
            redaction=self._redaction,
            patience=self._app.settings.unknown_tasks,
            calls=concurrency,
            slots=concurrency * max(of_queue, default=1),
            stuck=self._on_stuck,
        )
        executor = Executor(
            runner=runner,
            gate=self._gate,
            engine=self._app.engine,
            freed=lambda: self._on_freed(queue),
            failed=self.fail,
        )
        self._executors[queue] = executor
        self._fetchers[queue] = Fetcher(
            queue,
            engine=self._app.engine,
            hand=lambda: self._hand,
            executor=executor,
            pace=pace,
            backlog=lambda: self._settler.backlog,
            emptied=self._on_emptied,
            failed=self.fail,
        )

    async def _until_idle(self) -> None:
        while not self._done.is_set():
            self._changed.clear()
            if self._idle:
                await self._settler.drain()
                due = await self._due()
                if self._changed.is_set() or not self._idle:
                    # The answer is older than what was taken or written meanwhile (test_burst.py).
                    continue
                if not due:
                    return
                self._empty.clear()
            await self._changed.wait()

    async def _due(self) -> bool:
        """Whether a job waits to run now, as far as the ledger can be asked."""
        try:
            return await self._app.engine.due(list(self._queues))
        except LedgerUnavailable as exc:
            _log.warning("the burst waits for the ledger: %s", exc)
            return True

    @property
    def _idle(self) -> bool:
        """Whether all queues are empty, and nothing is in hand, on its way there, or running."""
        return (
            self._empty >= self._queues.keys()
            and self._hand.empty  # an earlier identity's attempts may still run
            and not any(executor.busy for executor in self._executors.values())
        )

    def _free(self) -> list[str]:
        return [queue for queue, executor in self._executors.items() if executor.free > 0]

    def _on_freed(self, queue: str) -> None:
        self._empty.discard(queue)
        self._changed.set()
        self._fetchers[queue].loop.wake()

    def _on_emptied(self, queue: str) -> None:
        self._empty.add(queue)
        self._changed.set()

    def _on_still_empty(self, queue: str) -> None:
        """Told every second, which must not make an answer that took longer look old."""
        if queue not in self._empty:
            self._on_emptied(queue)

    def _on_settled(self, endings: Sequence[Ending], accepted: set[tuple[UUID, int]]) -> None:
        self._hand.close([ending.delivery for ending in endings])
        self._changed.set()
        self._app.results.poke(job_id for job_id, _ in accepted)
        for delivery, settlement in endings:
            if settlement.state is Stored.LIVE and settlement.delay <= _SOON:
                # Nobody rings for it, and an idle fetcher looks once a second.
                asyncio.get_running_loop().call_later(settlement.delay, self.wake, delivery.queue)
            if (delivery.id, delivery.gen) not in accepted:
                _log.warning(
                    "attempt %d of job %s is stale: its outcome was refused",
                    delivery.attempt,
                    delivery.id,
                )

    def _on_beaten(self, beat: Beat) -> None:
        self._app.engine.heed(beat.view)
        for wish in beat.cancellations:
            for executor in self._executors.values():
                executor.cancel(wish)
        if self._stopping is None:
            self._identity.beaten(beat)

    def _on_stuck(self, attempt: Attempt) -> None:
        delivery = attempt.delivery
        self._stuck.append(attempt)
        self.fail(
            TimeoutError(f"job {delivery.id} ({delivery.task}) is stuck past its second timeout")
        )

    def fail(self, exc: BaseException) -> None:
        """Something that it cannot do without ended by a defect: drain, and let `run` say so."""
        self._broken = exc
        self._defect.set()
        self.finish()

    def _on_blocked(self) -> Culprit:
        """Called from the heartbeat's thread."""
        return find_culprit(self._loop, self._executors.values())
