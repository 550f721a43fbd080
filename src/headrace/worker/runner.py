"""What runs one job after it has started: here, in a thread, or in a process of its own."""

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, cast

import msgspec

from headrace.model.attempts import SUSPICIOUS
from headrace.model.job import Delivery, Ending, Settlement
from headrace.model.redaction import Redaction
from headrace.model.verdict import completed
from headrace.ports.engine import Engine
from headrace.ports.herald import Herald
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


class Runner:
    """Runs the jobs of one queue, in the tasks of its slots, and hands the outcomes to the settler.

    Args:
        tasks: by name.
        engine: for contexts.
        herald: tells that attempts begin, and of those that commit by themselves.
        children: the processes of tasks that want one.
        gate: what keeps rate limits.
        settler: where outcomes go.
        reporter: who is told of what attempts raised.
        teller: who writes what attempts tell.
        redaction: hides secrets in errors.
        patience: how long a job whose task is unknown waits for a worker that knows it.
        calls: how many calls of batch tasks run at a time.
        slots: how many jobs run at a time.
        stuck: called with an attempt that outlives its second timeout.

    Attributes:
        slots: how many jobs run at a time.
        bystander: tells whether everything here is cancelled.
        attempts: what runs now, by slot.
        finished: how many attempts are over.
    """

    def __init__(  # noqa: PLR0913 - it stands where everything of a run meets
        self,
        *,
        tasks: Mapping[str, Task[Any, Any]],
        engine: Engine,
        herald: Herald,
        children: Children,
        gate: Gate,
        settler: Settler,
        reporter: Reporter,
        teller: Teller,
        redaction: Redaction,
        patience: timedelta,
        calls: int,
        slots: int,
        stuck: Callable[[Attempt], None],
    ) -> None:
        self._tasks = tasks
        self._engine = engine
        self._herald = herald
        self._children = children
        self._gate = gate
        self._settler = settler
        self._reporter = reporter
        self._teller = teller
        self._redaction = redaction
        self._patience = patience
        self._batches = Batches(calls)
        self.slots: int = slots
        self._stuck = stuck
        self._threads: ThreadPoolExecutor | None = None
        self.bystander: Bystander = Bystander()
        self.attempts: dict[asyncio.Task[Any], Attempt] = {}
        self._deadlines = Deadlines(self.attempts.values)
        self._busy_seconds = 0.0
        self.finished: int = 0

    @property
    def busy_seconds(self) -> float:
        """For how long slots have run something, all in all."""
        return self._busy_seconds + sum(one.elapsed for one in self.attempts.values())

    def attempt_of(self, slot: "asyncio.Task[Any] | None") -> Attempt | None:
        """The attempt that a slot runs, if it is one of ours (readable from any thread)."""
        if slot is None:
            return None
        leader = self._batches.leader_of(slot)  # slots wait while their batch runs
        return self.attempts.get(slot) if leader is None else cast("Attempt", leader)

    async def close(self) -> None:
        """Nothing runs any more."""
        await self.bystander.stop()
        self._deadlines.close()
        if self._threads is not None:
            self._threads.shutdown()

    def abandon(self) -> None:
        """Wait for nothing. A thread, or a handler that ignores its end, goes on unheard."""
        self.bystander.cancel()
        self._deadlines.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    async def run(self, here: "asyncio.Task[None]", hand: Hand, delivery: Delivery) -> None:  # noqa: C901 - to call a part of it costs each job
        """Run a job that has started, and hand its outcome on."""
        task = self._tasks.get(delivery.task)
        if task is None:
            leaving = leave_for_another(self._engine, delivery, self._patience)
            settlement = await self.bystander.sees_through(asyncio.ensure_future(leaving))
            self.settle(hand, delivery, settlement)
            return
        if self._herald.open:
            self._herald.started(delivery)
        # Who ran when two workers died is a suspect: alone it can blame no other (test_poison.py).
        apart = task.in_process or (delivery.crashes >= SUSPICIOUS and task.importable)
        if apart and await self._run_apart(here, hand, delivery, task):
            return
        attempt = Attempt(delivery, task, self._stuck, self.bystander)
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
            if context.notes is not None or context.alarm is not None:
                await self._wind_up(context)
            if context.transacting:
                concluded = conclude(hand.worker, attempt, context, settlement, self.bystander)
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
            self.settle(hand, delivery, ended)
        else:
            self._close(hand, delivery, ended, settlement)

    async def _wind_up(self, context: AttemptContext) -> None:
        if context.alarm is not None:
            context.alarm.end()
        if context.notes is not None:
            last = asyncio.ensure_future(self._teller.finish(context.notes))
            await self.bystander.sees_through(last)

    async def _run_apart(
        self, here: "asyncio.Task[None]", hand: Hand, delivery: Delivery, task: Task[Any, Any]
    ) -> bool:
        """Run it in a process of its own; False where there is none for a suspect."""
        attempt = ProcessAttempt(delivery, task, self._stuck, self.bystander)
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
            self.settle(hand, delivery, settlement)
        elif ended is not None:
            self._close(hand, delivery, ended, completed(delivery, None, attempt.elapsed))
        return ended is not None

    def _close(
        self, hand: Hand, delivery: Delivery, ended: Conclusion, settlement: Settlement
    ) -> None:
        if ended is Conclusion.COMMITTED:
            self._engine.settled(hand.worker, delivery)
            if self._herald.open:
                self._herald.ended([Ending(delivery, settlement)], {delivery.token})
        hand.close([delivery])

    async def _calm_limits(self, delivery: Delivery, settlement: Settlement) -> None:
        after = timedelta(seconds=settlement.delay)
        await self._gate.rest(delivery, settlement.rests or "", after)

    def settle(self, hand: Hand, delivery: Delivery, settlement: Settlement) -> None:
        """Write this outcome soon."""
        if settlement.error is not None:
            error = self._redaction.clean_error(settlement.error)
            settlement = msgspec.structs.replace(settlement, error=error)
        tell(delivery, settlement)
        self._settler.add(hand.worker, delivery, settlement)

    def _threads_for(self, task: Task[Any, Any]) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.slots, f"headrace-{task.queue}")
        return self._threads
