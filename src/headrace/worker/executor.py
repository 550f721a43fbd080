"""The executor of one queue: as many slots as its concurrency, each runs one attempt at a time."""

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, cast

import msgspec

from headrace.model.cancellation import Cancellation
from headrace.model.job import Delivery, Settlement
from headrace.model.redaction import Redaction
from headrace.model.verdict import cancelled
from headrace.ports.engine import Engine
from headrace.task import Task
from headrace.worker.apart import Apart
from headrace.worker.attempt import Attempt, forget_cancellations
from headrace.worker.batches import Batches
from headrace.worker.bystander import Bystander
from headrace.worker.conclude import Conclusion, conclude
from headrace.worker.context import AttemptContext
from headrace.worker.deadlines import Deadlines
from headrace.worker.gate import Gate
from headrace.worker.hand import Hand
from headrace.worker.notes import Teller
from headrace.worker.process.attempt import ProcessAttempt
from headrace.worker.process.children import Children
from headrace.worker.reporter import Reporter
from headrace.worker.settler import Settler
from headrace.worker.stranger import leave_for_another
from headrace.worker.tell import tell

_log = logging.getLogger("headrace.worker")
_SOON = 1.0


class Executor:
    """Runs what it is given, in order, and hands the outcomes to the settler.

    Args:
        tasks: by name.
        engine: for contexts.
        children: the processes of tasks that want one.
        gate: what jobs under rate limits pass before they start.
        settler: where outcomes go.
        reporter: who is told of what attempts raised.
        teller: who writes what attempts tell.
        redaction: hides secrets in errors.
        patience: how long a job whose task is unknown waits for a worker that knows it.
        concurrency: calls at a time.
        batch: how many jobs a call takes at most; there are slots for all of them.
        freed: called whenever a slot ends an attempt and no more than `low` wait for one.
        stuck: called with an attempt that outlives its second timeout.
        failed: called with what ended a slot, which must not go on as if it were free.
    """

    def __init__(  # noqa: PLR0913 - it stands where everything of a worker meets
        self,
        *,
        tasks: Mapping[str, Task[Any, Any]],
        engine: Engine,
        children: Children,
        gate: Gate,
        settler: Settler,
        reporter: Reporter,
        teller: Teller,
        redaction: Redaction,
        patience: timedelta,
        concurrency: int,
        batch: int = 1,
        freed: Callable[[], None],
        stuck: Callable[[Attempt], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._tasks = tasks
        self._engine = engine
        self._children = children
        self._gate = gate
        self._limited = False
        self._at_gate = 0
        self._settler = settler
        self._reporter = reporter
        self._teller = teller
        self._redaction = redaction
        self._patience = patience
        self._concurrency = concurrency * batch
        self._batches = Batches(concurrency)
        self._freed = freed
        self._stuck = stuck
        self._failed = failed
        self._waiting: deque[tuple[Hand, Delivery]] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._slots: list[asyncio.Task[None]] = []
        self._threads: ThreadPoolExecutor | None = None
        self._stopping = False
        self._roused = False
        self._bystander = Bystander()
        self.attempts: dict[asyncio.Task[Any], Attempt] = {}
        self._deadlines = Deadlines(self.attempts.values)
        self._busy_seconds = 0.0
        self.finished: int = 0
        self.low = 0

    def start(self) -> None:
        """Open the slots."""
        self._bystander.start()
        self._limited = self._gate.stands_anywhere
        self._slots = [asyncio.create_task(self._slot()) for _ in range(self._concurrency)]
        for slot in self._slots:
            slot.add_done_callback(self._on_slot_ended)

    @property
    def free(self) -> int:
        """Slots that nothing runs in or waits for."""
        return self._concurrency - len(self.attempts) - len(self._waiting) - self._at_gate

    @property
    def slots(self) -> int:
        """How many there are."""
        return self._concurrency

    @property
    def busy_seconds(self) -> float:
        """For how long slots have run something, all in all."""
        return self._busy_seconds + sum(one.elapsed for one in self.attempts.values())

    @property
    def waiting(self) -> int:
        """Deliveries that wait for a slot."""
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits for a slot."""
        return bool(self.attempts or self._waiting or self._at_gate)

    def attempt_of(self, slot: "asyncio.Task[Any] | None") -> Attempt | None:
        """The attempt that a slot runs, if it is one of ours (readable from any thread)."""
        if slot is None:
            return None
        leader = self._batches.leader_of(slot)  # slots wait while their batch runs
        return self.attempts.get(slot) if leader is None else cast("Attempt", leader)

    def give(self, hand: Hand, deliveries: Iterable[Delivery]) -> None:
        """Run these, in order, as slots become free."""
        self._waiting.extend((hand, delivery) for delivery in deliveries)
        self._rouse()

    def withdraw(self) -> list[tuple[Hand, Delivery]]:
        """Take back what waits for a slot."""
        unstarted = list(self._waiting)
        self._waiting.clear()
        return unstarted

    def cancel(self, wish: Cancellation) -> None:
        """End what somebody wants to end, if it runs here or waits for a slot."""
        for attempt in self.attempts.values():
            if attempt.delivery.id == wish.job_id:
                attempt.cancel(wish)
        for hand, delivery in list(self._waiting):
            if delivery.id == wish.job_id:
                self._waiting.remove((hand, delivery))
                self._settle(hand, delivery, cancelled(delivery, wish, 0.0))

    async def stop(self, grace: float) -> None:
        """Start nothing more; wait for what runs, at last interrupt it.

        A thread cannot be interrupted: it is waited for.
        """
        self._stopping = True
        self._waiting.clear()
        while self._idle:
            if not (idle := self._idle.popleft()).done():  # its slot was cancelled
                idle.set_result(None)
        if self._slots:
            _, running = await asyncio.wait(self._slots, timeout=grace)
            for slot in running:
                if slot in self.attempts:
                    self.attempts[slot].interrupt()
            await asyncio.wait(self._slots)
        await self._bystander.stop()
        self._deadlines.close()
        if self._threads is not None:
            self._threads.shutdown()

    def abandon(self) -> None:
        """Wait for nothing more. A thread, or a handler that ignores its end, goes on unheard."""
        self._stopping = True
        self._bystander.cancel()
        self._deadlines.close()
        for slot in self._slots:
            slot.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    def _on_slot_ended(self, slot: "asyncio.Task[None]") -> None:
        if self._stopping:
            return
        exc = None if slot.cancelled() else slot.exception()
        self._failed(exc or RuntimeError("all tasks of the event loop were cancelled"))

    async def _slot(self) -> None:
        here = asyncio.current_task()
        assert here is not None
        while not (self._stopping or self._bystander.cancelled):
            try:
                await self._work_on(here)
            except asyncio.CancelledError:
                if self._bystander.cancelled:
                    raise
                _log.warning("something cancelled a slot between jobs, which goes on")
                while here.cancelling():
                    here.uncancel()

    async def _work_on(self, here: "asyncio.Task[None]") -> None:
        """Run one job after the other."""
        while not (self._stopping or (here.cancelling() and self._bystander.cancelled)):
            if not self._waiting:
                await self._rest()
                continue
            hand, delivery = self._waiting.popleft()
            if self._idle:
                self._rouse()
            if self._limited and not await self._passes(hand, delivery):
                pass
            elif hand.start(delivery):
                await self._run(here, hand, delivery)
            else:
                _log.info("job %s is not started: its lease may be over", delivery.id)
            if len(self._waiting) <= self.low:
                await self._ask_for_more()

    async def _passes(self, hand: Hand, delivery: Delivery) -> bool:
        """Whether the job may start now; it waits here for the moment, if that is close."""
        if not self._gate.stands_before(delivery):
            return True
        self._at_gate += 1
        try:
            answer = await self._gate.admits(delivery)
            if answer is not None and not answer.put_off:
                await asyncio.sleep(answer.wait)
                return True
        finally:
            self._at_gate -= 1
        hand.close([delivery])  # where nobody knows what became of it, the next beat gives it back
        if answer is not None:
            self._engine.settled(hand.worker, delivery)
            if answer.wait <= _SOON:
                # Nobody rings for it, and an idle fetcher looks once a second.
                asyncio.get_running_loop().call_later(answer.wait, self._freed)
        return False

    async def _ask_for_more(self) -> None:
        self._freed()
        if len(self._waiting) == self.low > 0:
            # Handlers that never wait would keep the loop from asking until nothing is left.
            await asyncio.sleep(0)

    def _rouse(self) -> None:
        """Wake one idle slot, which wakes the next.

        A handler that never waits leaves nothing for the others, so all at once would wake in vain.
        """
        while self._idle and self._idle[0].done():
            self._idle.popleft()  # its slot was cancelled
        if self._waiting and self._idle and not self._roused:
            self._roused = True
            self._idle.popleft().set_result(None)

    async def _rest(self) -> None:
        idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        try:
            await idle
        finally:
            self._roused = False

    async def _run(self, here: "asyncio.Task[None]", hand: Hand, delivery: Delivery) -> None:
        task = self._tasks.get(delivery.task)
        if task is None:
            leaving = leave_for_another(self._engine, delivery, self._patience)
            settlement = await self._bystander.sees_through(asyncio.ensure_future(leaving))
            self._settle(hand, delivery, settlement)
            return
        # Who ran when its worker died is a suspect: alone it can blame no other (test_poison.py).
        apart = task.in_process or (delivery.crashes and task.importable)
        if apart and await self._run_apart(here, hand, delivery, task):
            return
        attempt = Attempt(delivery, task, self._stuck, self._bystander)
        context = AttemptContext(
            self._engine, delivery, here.get_loop(), attempt, self._teller, self._batches
        )
        self.attempts[here] = attempt
        self._deadlines.watch()
        variables = contextvars.copy_context()
        try:
            threads = None if task.is_async else self._threads_for(task)
            settlement = await attempt.run(context, variables, here, threads)
            ended: Settlement | Conclusion = settlement
            if attempt.cancellation is not None:
                ended = settlement = attempt.as_wished(settlement)
            context.over = True
            if context.notes is not None:
                last = asyncio.ensure_future(self._teller.finish(context.notes))
                await self._bystander.sees_through(last)
            if context.transacting:
                concluded = conclude(hand.worker, attempt, context, settlement, self._bystander)
                ended = await Apart(concluded, variables)
                if here.cancelling():
                    await forget_cancellations(here)
            if attempt.raised is not None:
                variables.run(self._reporter.tell, context, attempt.raised)
        finally:
            attempt.raised = None  # whose frames know the attempt
            del self.attempts[here]
            self._busy_seconds += attempt.elapsed
            self.finished += 1
        if isinstance(ended, Settlement):
            if ended.rests is not None:
                await self._calm_limits(delivery, ended)
            self._settle(hand, delivery, ended)
        else:
            self._close(hand, delivery, ended)

    async def _run_apart(
        self, here: "asyncio.Task[None]", hand: Hand, delivery: Delivery, task: Task[Any, Any]
    ) -> bool:
        """Run it in a process of its own; False where there is none for a suspect."""
        attempt = ProcessAttempt(delivery, task, self._stuck, self._bystander)
        self.attempts[here] = attempt
        self._deadlines.watch()
        try:
            ended = await attempt.run_in(self._children, hand.worker, here)
            if attempt.raised is not None:  # here, not in the process, which told of what it saw
                loop = here.get_loop()
                context = AttemptContext(
                    self._engine, delivery, loop, attempt, self._teller, self._batches
                )
                self._reporter.tell(context, attempt.raised)
        finally:
            attempt.raised = None
            del self.attempts[here]
            self._busy_seconds += attempt.elapsed
            self.finished += 1
        if isinstance(ended, Settlement):
            settlement = attempt.as_wished(ended)
            if settlement.rests is not None:
                await self._calm_limits(delivery, settlement)
            self._settle(hand, delivery, settlement)
        elif ended is not None:
            self._close(hand, delivery, ended)
        return ended is not None

    def _close(self, hand: Hand, delivery: Delivery, ended: Conclusion) -> None:
        if ended is Conclusion.COMMITTED:
            self._engine.settled(hand.worker, delivery)
        hand.close([delivery])

    async def _calm_limits(self, delivery: Delivery, settlement: Settlement) -> None:
        after = timedelta(seconds=settlement.delay)
        await self._gate.rest(delivery, settlement.rests or "", after)

    def _settle(self, hand: Hand, delivery: Delivery, settlement: Settlement) -> None:
        if settlement.error is not None:
            error = self._redaction.clean_error(settlement.error)
            settlement = msgspec.structs.replace(settlement, error=error)
        tell(delivery, settlement)
        self._settler.add(hand.worker, delivery, settlement)

    def _threads_for(self, task: Task[Any, Any]) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._concurrency, f"headrace-{task.queue}")
        return self._threads
