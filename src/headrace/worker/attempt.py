"""One run of one job: decode, start, time out, and turn what happened into a settlement."""

import asyncio
import contextlib
import contextvars
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from headrace.context import Lifespan
from headrace.errors import BadArguments, BadPayload
from headrace.model.cancellation import Cancellation
from headrace.model.duration import parse_duration
from headrace.model.job import Delivery, Settlement
from headrace.model.outcome import Complete, Outcome
from headrace.model.retry import RetryPolicy
from headrace.model.shown import stack_of, words
from headrace.model.state import Stored
from headrace.model.verdict import cancelled, completed, describe, failed, given_up, steered
from headrace.task import Task
from headrace.worker.apart import Apart
from headrace.worker.bystander import Bystander
from headrace.worker.context import AttemptContext
from headrace.worker.threads import in_thread, raising_here

_log = logging.getLogger("headrace.worker")
T = TypeVar("T")
_BY_ITSELF = "the handler cancelled its own task, or a task that it started did"
_BY_WHAT_IT_AWAITED = (
    "the handler raised CancelledError: something that it awaited was cancelled; catch that there"
)


class Attempt:
    """A handler's run, in the task of a slot.

    A run that passes its deadline is asked to end: a coroutine is cancelled, a thread cannot be.
    It keeps its slot and lease until it returns, and is settled by what it returned. One that
    lasts for a second timeout is stuck.

    Args:
        delivery: the job.
        task: its task.
        on_stuck: called with this attempt when it outlives its second timeout.
        bystander: tells whether everything here is cancelled, not only this handler.

    Attributes:
        cancellation: the wish that it end.
        raised: what failed it, for those who are told of errors.
        expired: it has passed its deadline.
        interrupted: its worker cannot wait any longer.
    """

    raised: BaseException | None = None

    def __init__(
        self,
        delivery: Delivery,
        task: Task[Any, Any],
        on_stuck: "Callable[[Attempt], None]",
        bystander: Bystander,
    ) -> None:
        self.delivery = delivery
        self._task = task
        self._on_stuck = on_stuck
        self._bystander = bystander
        self._runner: asyncio.Task[Any] | None = None
        self._began = time.monotonic()
        self._overdue_at = self._began + task.timeout_seconds
        self._soft_at = self._began + task.soft_seconds
        self._stuck_at = self._overdue_at + task.timeout_seconds
        self.expired: bool = False
        self._told_soft = False
        self._told_stuck = False
        self.interrupted: bool = False
        self._asked = 0
        self.cancellation: Cancellation | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    @property
    def overdue(self) -> bool:
        """Whether it has passed its timeout (readable from any thread)."""
        return time.monotonic() > self._overdue_at

    @property
    def seconds_left(self) -> float:
        """Until the timeout."""
        return self._overdue_at - time.monotonic()

    @property
    def soft_seconds_left(self) -> float | None:
        """Until the soft timeout; None where the task has none."""
        return None if self._task.soft_timeout is None else self._soft_at - time.monotonic()

    @property
    def stuck(self) -> bool:
        """Whether it has outlived its second timeout (readable from any thread)."""
        return time.monotonic() > self._stuck_at

    async def run(
        self,
        context: AttemptContext,
        variables: contextvars.Context,
        runner: "asyncio.Task[Any]",
        threads: ThreadPoolExecutor | None,
    ) -> Settlement:
        """Run the handler in the task of its slot; never raises, except at the worker's own end.

        It sets context variables in `variables`, for itself alone. The context is not kept: it
        knows how to prolong this attempt, and a ring of the two would wait for the garbage
        collector.
        """
        try:
            arguments = self._task.decode(self.delivery.payload)
        except BadArguments as exc:
            return self._give_up(exc)
        except Exception as exc:  # noqa: BLE001 - a validator of the application's can raise anything
            return self._as_raised(exc)
        self._runner = runner
        try:
            if self._task.is_async:
                return self._as_returned(
                    await Apart(self._task.call(context, arguments), variables)
                )
            return await self._call_in_thread(context, variables, arguments, threads)
        except asyncio.CancelledError as exc:
            if self._bystander.cancelled:
                raise
            return self._cut_short(exc, by_itself=runner.cancelling() > self._asked)
        except (KeyboardInterrupt, GeneratorExit):
            raise  # of the process, and of a coroutine that is closed
        except BaseException as exc:  # noqa: BLE001 - whatever a handler raises is its job's failure
            return self._as_raised(exc)
        finally:
            self._runner = None
            if runner.cancelling() and not self._bystander.cancelled:
                await forget_cancellations(runner)

    def given_up_as_stuck(self) -> Settlement:
        """What to write when its process must end without it."""
        told = (
            f"the attempt passed its timeout of {self._task.timeout} and did not end within a "
            "second one; its process was ended"
        )
        error = describe("Timeout", told)
        return failed(self.delivery, error, self.elapsed, self.retry_delay())

    def interrupt(self) -> None:
        """The worker cannot wait any longer: cancel the handler."""
        self.interrupted = True
        self._cancel_handler()

    def cancel(self, wish: Cancellation) -> None:
        """Somebody wants it to end: a coroutine is cancelled, a thread finds it in its context."""
        if self.cancellation is None:
            self.cancellation = wish
            self._cancel_handler()

    def as_wished(self, settlement: Settlement) -> Settlement:
        """An attempt that somebody wanted to end, and that did not complete, cancels its job."""
        if self.cancellation is None or settlement.state in (Stored.COMPLETED, Stored.CANCELLED):
            return settlement
        return cancelled(self.delivery, self.cancellation, self.elapsed)

    def _cancel_handler(self) -> None:
        if self._runner is not None and self._task.in_loop:
            self._asked += 1
            self._runner.cancel()

    async def _call_in_thread(
        self,
        context: AttemptContext,
        variables: contextvars.Context,
        arguments: dict[str, Any],
        threads: ThreadPoolExecutor | None,
    ) -> Settlement:
        """An exception stays in its thread: a future refuses some, others end the event loop."""
        if self._task.call_around is not None:
            call_there = partial(raising_here, threads, self._bystander, variables)
            around = self._task.call_around(context, arguments, call_there)
            return self._as_returned(await Apart(around, variables))

        def call() -> Settlement:
            try:
                return self._as_returned(variables.run(self._task.call, context, arguments))
            except asyncio.CancelledError as exc:
                return self._cut_short(exc, by_itself=False)
            except BaseException as exc:  # noqa: BLE001 - as in `run`
                return self._as_raised(exc)

        return await in_thread(threads, self._bystander, call)

    def state_of(self, hook: Lifespan[T]) -> T:
        """What a lifespan hook yielded in this process."""
        return self._task.state_of(hook)

    def begin_anew(self) -> None:
        """Its time begins now: it has waited for others of its batch until here."""
        self.prolong(self._task.timeout)

    def prolong(self, longer: timedelta) -> None:
        """Move the deadline to that long from now, unless it has passed."""
        if not self.expired:
            self._overdue_at = time.monotonic() + longer.total_seconds()
            self._soft_at = self._overdue_at - self._task.timeout_seconds + self._task.soft_seconds
            self._told_soft = False
            self._stuck_at = self._overdue_at + self._task.timeout_seconds

    def look_at(self, now: float) -> None:
        """Act on a deadline that has passed, once each."""
        if self._runner is None or now <= self._soft_at:
            return
        if now <= self._overdue_at:
            self._warn()
        elif not self.expired:
            self._expire(now)
        elif now > self._stuck_at and not self._told_stuck:
            self._told_stuck = True
            self._on_stuck(self)

    def _warn(self) -> None:
        if not self._told_soft:
            self._told_soft = True
            _log.warning(
                "job %s (%s) passed its soft timeout of %s; it has %.1f s left",
                self.delivery.id,
                self.delivery.task,
                self._task.soft_timeout,
                self.seconds_left,
            )

    def _expire(self, now: float) -> None:
        self.expired = True
        self._stuck_at = now + self._task.timeout_seconds
        _log.warning(
            "job %s (%s) passed its timeout of %s",
            self.delivery.id,
            self.delivery.task,
            self._task.timeout,
        )
        self._cancel_handler()

    def _cut_short(self, exc: asyncio.CancelledError, *, by_itself: bool) -> Settlement:
        whose = _BY_ITSELF if by_itself else _BY_WHAT_IT_AWAITED
        if self.expired:
            self._blame(self.timed_out())
        elif not (self.interrupted or self.cancellation):
            self._blame(exc)
        error = self._why_asked() or describe("Cancelled", whose, stack_of(exc))
        return failed(self.delivery, error, self.elapsed, self.retry_delay())

    def _blame(self, exc: BaseException) -> None:
        self.raised = exc

    def timed_out(self) -> TimeoutError:
        """What its end at the deadline is told as."""
        return TimeoutError(f"the attempt passed its timeout of {self._task.timeout}")

    def _why_asked(self) -> str | None:
        """Why the worker has cut it short, if it has."""
        if self.expired:
            return describe("Timeout", str(self.timed_out()))
        if self.interrupted:
            return describe("Interrupted", "the worker stopped before the attempt ended")
        return None

    def _as_raised(self, exc: BaseException) -> Settlement:
        if isinstance(exc, Outcome):
            try:
                return self._as_returned(exc)
            except Exception as no_outcome:  # noqa: BLE001 - its result or its class is the user's
                exc = no_outcome
        self._blame(exc)
        error = describe(type(exc).__name__, words(exc), stack_of(exc))
        return failed(self.delivery, error, self.elapsed, self.retry_delay())

    def _as_returned(self, value: object) -> Settlement:
        if value is None:
            return completed(self.delivery, None, self.elapsed)
        if isinstance(value, Complete):
            value = value.result
        if isinstance(value, Outcome):
            return steered(self.delivery, value, self.elapsed, self.retry_delay())
        try:
            result = None if value is None else self._task.encode_result(value)
        except BadPayload as exc:  # the sentence says it all: no stack, which would be ours alone
            self._blame(exc)
            error = describe(type(exc).__name__, str(exc))
            return failed(self.delivery, error, self.elapsed, self.retry_delay())
        return completed(self.delivery, result, self.elapsed)

    def _give_up(self, exc: Exception) -> Settlement:
        """Arguments do not get better by another run."""
        self._blame(exc)
        error = describe(type(exc).__name__, str(exc))
        return given_up(self.delivery, Stored.DEAD, error, self.elapsed)

    def retry_delay(self) -> timedelta:
        """How long the job waits if this attempt failed."""
        failures, roll = self.delivery.failures + 1, random.random()
        try:
            return parse_duration(self._task.retry.delay(failures, roll), "the delay")
        except Exception as exc:  # noqa: BLE001 - a policy can be of a class of the user's own
            _log.error("the retry policy of %s is not followed: %s", self._task, words(exc))
            return RetryPolicy().delay(failures, roll)


async def forget_cancellations(slot: "asyncio.Task[Any]") -> None:
    """The slot goes on with the next job: only the handler was cancelled."""
    while slot.cancelling():
        slot.uncancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)  # takes up one that was not delivered, since the handler returned
