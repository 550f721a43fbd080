"""The executor of one queue: as many slots as its concurrency, each runs one attempt at a time."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from headrace.model.cancellation import Cancellation
from headrace.model.expiry import EXPIRES, error_if_expired
from headrace.model.job import Delivery
from headrace.model.made_at import made_at
from headrace.model.state import Stored
from headrace.model.verdict import cancelled, given_up
from headrace.ports.engine import Engine
from headrace.worker.attempt import Attempt
from headrace.worker.gate import Gate
from headrace.worker.hand import Hand
from headrace.worker.runner import Runner

_log = logging.getLogger("headrace.worker")
_SOON = 1.0


class Executor:
    """Gives what it is given to free slots, in order.

    Args:
        runner: runs it there.
        gate: what jobs under rate limits pass before they start.
        engine: told of what the gate put off.
        freed: called whenever a slot ends an attempt and no more than `low` wait for one.
        failed: called with what ended a slot, which must not go on as if it were free.
    """

    def __init__(
        self,
        *,
        runner: Runner,
        gate: Gate,
        engine: Engine,
        freed: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._runner = runner
        self._gate = gate
        self._engine = engine
        self._limited = False
        self._at_gate = 0
        self._freed = freed
        self._failed = failed
        self._waiting: deque[tuple[Hand, Delivery]] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._slots: list[asyncio.Task[None]] = []
        self._stopping = False
        self._roused = False
        self._bystander = runner.bystander
        self.attempts: dict[asyncio.Task[Any], Attempt] = runner.attempts
        self.low = 0

    def start(self) -> None:
        """Open the slots."""
        self._bystander.start()
        self._limited = self._gate.stands_anywhere
        self._slots = [asyncio.create_task(self._slot()) for _ in range(self._runner.slots)]
        for slot in self._slots:
            slot.add_done_callback(self._on_slot_ended)

    @property
    def free(self) -> int:
        """Slots that nothing runs in or waits for."""
        return self._runner.slots - len(self.attempts) - len(self._waiting) - self._at_gate

    @property
    def slots(self) -> int:
        """How many there are."""
        return self._runner.slots

    @property
    def busy_seconds(self) -> float:
        """For how long slots have run something, all in all."""
        return self._runner.busy_seconds

    @property
    def finished(self) -> int:
        """How many attempts are over."""
        return self._runner.finished

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
        return self._runner.attempt_of(slot)

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
                self._runner.settle(hand, delivery, cancelled(delivery, wish, 0.0))

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
        await self._runner.close()

    def abandon(self) -> None:
        """Wait for nothing more. A thread, or a handler that ignores its end, goes on unheard."""
        self._stopping = True
        self._runner.abandon()
        for slot in self._slots:
            slot.cancel()

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
            rare = self._limited or delivery.headers is not None
            if rare and await self._is_held_back(hand, delivery):
                pass
            elif hand.start(delivery):
                await self._runner.run(here, hand, delivery)
            else:
                _log.info("job %s is not started: its lease may be over", delivery.id)
            if len(self._waiting) <= self.low:
                await self._ask_for_more()

    async def _is_held_back(self, hand: Hand, delivery: Delivery) -> bool:
        headers = delivery.headers
        if headers is not None and EXPIRES in headers and self._has_expired(hand, delivery):
            return True
        return self._limited and not await self._passes(hand, delivery)

    def _has_expired(self, hand: Hand, delivery: Delivery) -> bool:
        """Whether the job must not start any more: then it ends here."""
        error = error_if_expired(delivery, made_at(self._engine.new_id()))
        if error is None:
            return False
        self._runner.settle(hand, delivery, given_up(delivery, Stored.CANCELLED, error, 0.0))
        return True

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
