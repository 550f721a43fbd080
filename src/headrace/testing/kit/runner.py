"""Runs jobs in memory as a worker does: its attempts, its verdicts, its settlements."""

import asyncio
import contextvars
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

import msgspec

from headrace.app import Headrace
from headrace.engines.memory.engine import MemoryEngine
from headrace.model.expiry import error_if_expired
from headrace.model.job import Delivery, Ending, Settlement
from headrace.model.redaction import Redaction
from headrace.model.state import Stored
from headrace.model.verdict import describe, given_up
from headrace.portal import callers_errands
from headrace.worker.attempt import Attempt
from headrace.worker.batches import Batches
from headrace.worker.bystander import Bystander
from headrace.worker.context import AttemptContext
from headrace.worker.deadlines import Deadlines
from headrace.worker.notes import Teller
from headrace.worker.reporter import Reporter
from headrace.worker.tell import tell

_WORKER = UUID(int=1)
_MANY = 1000
_open: contextvars.ContextVar[bool] = contextvars.ContextVar("headrace_living", default=False)


class Runner:
    """A worker without a loop of its own: it runs what it is told to, one job after the other."""

    def __init__(self, app: Headrace, engine: MemoryEngine) -> None:
        self._app = app
        self._engine = engine
        self._book = engine.book
        self._redaction = Redaction(app.settings.redact)

    async def drain(self, queue: str | None = None) -> list[UUID]:
        """Run what is due until nothing is; the ids in the order of their last runs."""
        ran: dict[UUID, int] = {}
        while ripe := self._ripe(queue):
            await self.run(ripe[:1])
            (job_id,) = ripe[:1]
            ran[job_id] = ran.pop(job_id, 0) + 1
            if ran[job_id] > _MANY:
                raise AssertionError(f"job {job_id} ran {_MANY} times and is due again")
        return list(ran)

    async def run(self, ids: Iterable[UUID]) -> None:
        """Run those among these that are due."""
        for job_id in ids:
            with self._book.lock:
                row = self._book.rows[job_id]
                paused = self._book.queues[row.new.queue].paused
                if paused or not row.ripe(self._book.clock.now()):
                    continue
                delivery = row.give(_WORKER, 0, self._book.clock.now())
            await self._in_a_task(delivery)

    def _ripe(self, queue: str | None) -> list[UUID]:
        with self._book.lock:
            rows = self._book.ripe(None if queue is None else [queue])
            return [row.new.id for row in sorted(rows, key=lambda row: row.priority)]

    async def _in_a_task(self, delivery: Delivery) -> None:
        """A handler may cancel the task that it runs in, which must not be the test's."""
        running = asyncio.create_task(self._settle(delivery))
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError:
            running.cancel()
            await asyncio.wait({running})
            raise
        running.result()

    async def _settle(self, delivery: Delivery) -> None:
        if _open.get():
            settlement = await self._attempt(delivery)
        else:
            _open.set(True)
            async with self._app.living():
                settlement = await self._attempt(delivery)
        tell(delivery, settlement)
        await self._engine.settle(_WORKER, [Ending(delivery, settlement)])
        self._app.results.poke([delivery.id])

    async def _attempt(self, delivery: Delivery) -> Settlement:
        task, here = self._app.tasks.get(delivery.task), asyncio.current_task()
        assert here is not None
        if task is None:
            error = describe(
                "UnknownTask", f'there is no task "{delivery.task}" in this application'
            )
            return given_up(delivery, Stored.DEAD, error, 0.0)
        expired = error_if_expired(delivery, self._book.clock.now())
        if expired is not None:
            return given_up(delivery, Stored.CANCELLED, expired, 0.0)
        if self._engine.herald.open:
            self._engine.herald.started(delivery)
        attempt = Attempt(delivery, task, lambda _: None, Bystander())
        teller, reporter = (
            Teller(self._engine.tell, self._redaction, self._engine.herald),
            Reporter(self._app.error_hooks),
        )
        batches = Batches(1, patient=False)
        context = AttemptContext(self._engine, delivery, here.get_loop(), attempt, teller, batches)
        deadlines = Deadlines(lambda: [attempt])
        deadlines.watch()
        try:
            variables = contextvars.copy_context()
            settlement = await attempt.run(context, variables, here, _threads())
            context.over = True
            if context.alarm is not None:
                context.alarm.end()
            if context.notes is not None:
                await teller.finish(context.notes)
            if attempt.raised is not None:
                variables.run(reporter.tell, context, attempt.raised)
            await reporter.close()
        finally:
            deadlines.close()
            teller.close()
        wish = self._book.wishes.get(delivery.id)
        if wish is not None:
            attempt.cancel(wish)
        return self._cleaned(attempt.as_wished(settlement))

    def _cleaned(self, settlement: Settlement) -> Settlement:
        if settlement.error is None:
            return settlement
        error = self._redaction.clean_error(settlement.error)
        return msgspec.structs.replace(settlement, error=error)


class _CallersThread(ThreadPoolExecutor):
    """Runs what it is given on the thread of who called through a portal.

    A plain handler then shares what belongs to that thread, such as a connection of Django.
    """

    def __init__(self) -> None:
        super().__init__(max_workers=1)
        self._send = callers_errands()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401 - as its base
        """Run it there."""
        assert self._send is not None
        done: Future[Any] = Future()

        def errand() -> None:
            try:
                done.set_result(fn(*args, **kwargs))
            except BaseException as exc:  # noqa: BLE001 - it is the future's
                done.set_exception(exc)

        self._send(errand)
        return done


def _threads() -> ThreadPoolExecutor | None:
    return None if callers_errands() is None else _CallersThread()
