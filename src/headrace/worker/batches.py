"""Calls that take many jobs: the attempts of a batch task meet here.

Each job keeps an attempt of its own, with its slot, lease, deadline and outcome.
"""

import asyncio
from collections import deque
from typing import Any, Protocol

from headrace.batch_task import BatchTask
from headrace.context import Context
from headrace.model.outcome import Outcome


class Joining(Protocol):
    """An attempt that joins a call.

    Attributes:
        expired: it has passed its deadline.
        interrupted: its worker cannot wait any longer.
    """

    expired: bool
    interrupted: bool

    def begin_anew(self) -> None:
        """Its time begins now: it has waited for others until here."""


class Member:
    """A job in a call, or on its way into one."""

    def __init__(self, attempt: Joining, context: Context, item: object) -> None:
        self.attempt = attempt
        self.context = context
        self.item = item
        self.done: asyncio.Future[object] = asyncio.get_running_loop().create_future()


class Batches:
    """The calls of one queue.

    Args:
        calls: how many run at a time.
        patient: whether the first job of a call waits for others.
    """

    def __init__(self, calls: int, *, patient: bool = True) -> None:
        self._calls = calls
        self._patient = patient
        self._gatherings: dict[str, _Gathering] = {}
        self._leaders: dict[asyncio.Task[Any], Joining] = {}

    async def join(
        self, task: BatchTask[..., Any], attempt: Joining, context: Context, item: object
    ) -> object:
        """Wait for the call that takes this job; returns or raises what became of it."""
        gathering = self._gatherings.get(task.name)
        if gathering is None:
            gathering = self._gatherings[task.name] = _Gathering(
                task, self._calls, self._leaders, task.batch if self._patient else 1
            )
        return await gathering.join(Member(attempt, context, item))

    def leader_of(self, running: "asyncio.Task[Any] | None") -> Joining | None:
        """The first attempt of the call that runs in a task (readable from any thread)."""
        return None if running is None else self._leaders.get(running)


class _Gathering:
    """The calls of one task."""

    def __init__(
        self,
        task: BatchTask[..., Any],
        calls: int,
        leaders: "dict[asyncio.Task[Any], Joining]",
        enough: int,
    ) -> None:
        self._task = task
        self._calls = calls
        self._leaders = leaders
        self._enough = enough
        self._waiting: deque[Member] = deque()
        self._running: dict[asyncio.Task[None], list[Member]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._ripe = False

    async def join(self, member: Member) -> object:
        self._waiting.append(member)
        self._look()
        while not member.done.done():
            try:
                await asyncio.shield(member.done)
            except asyncio.CancelledError:
                if member in self._waiting:
                    self._waiting.remove(member)
                    raise
                self._cut_off(member)
            except BaseException:  # noqa: BLE001 - told below
                break
        try:
            return member.done.result()
        except _CutShort:
            raise asyncio.CancelledError from None

    def _look(self) -> None:
        """Call, if there are enough, or the first has waited long enough, and a call is free."""
        while self._waiting and len(self._running) < self._calls:
            if not self._ripe and len(self._waiting) < self._enough:
                if self._timer is None:
                    loop = asyncio.get_running_loop()
                    self._timer = loop.call_later(self._task.batch_wait, self._on_time)
                return
            count = min(len(self._waiting), self._task.batch)
            self._start([self._waiting.popleft() for _ in range(count)])

    def _on_time(self) -> None:
        self._timer = None
        self._ripe = bool(self._waiting)
        self._look()

    def _start(self, members: list[Member]) -> None:
        self._ripe = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for member in members:
            member.attempt.begin_anew()
        call = asyncio.create_task(self._call(members), name=f"headrace:batch of {self._task.name}")
        self._running[call] = members
        self._leaders[call] = members[0].attempt
        call.add_done_callback(self._on_ended)

    async def _call(self, members: list[Member]) -> None:
        try:
            outcomes = await self._task.call_batch(
                [member.context for member in members], [member.item for member in members]
            )
        except asyncio.CancelledError as exc:
            _cut_short(members, exc)
        except BaseException as exc:  # noqa: BLE001 - the failure of each, as it would be of one
            for member in members:
                member.done.set_exception(_raisable(exc))
        else:
            for member, outcome in zip(members, outcomes, strict=True):
                if isinstance(outcome, BaseException) and not isinstance(outcome, Outcome):
                    member.done.set_exception(_raisable(outcome))
                else:
                    member.done.set_result(outcome)

    def _on_ended(self, call: "asyncio.Task[None]") -> None:
        del self._leaders[call]
        members = self._running.pop(call)
        if call.cancelled():  # before it began
            _cut_short(members, asyncio.CancelledError())
        self._look()

    def _cut_off(self, member: Member) -> None:
        """A deadline, or the end of the worker, is that of the whole call; a mere wish waits."""
        if not (member.attempt.expired or member.attempt.interrupted):
            return
        for call, members in self._running.items():
            if member in members:
                for other in members:
                    other.attempt.expired |= member.attempt.expired
                    other.attempt.interrupted |= member.attempt.interrupted
                call.cancel()


def _cut_short(members: list[Member], exc: asyncio.CancelledError) -> None:
    for member in members:
        if not member.done.done():
            member.done.set_exception(_CutShort(exc))


class _CutShort(Exception):
    """A future takes no CancelledError as an exception of its own."""


def _raisable(exc: BaseException) -> BaseException:
    """A future refuses StopIteration."""
    if isinstance(exc, StopIteration):
        return RuntimeError(f"the handler raised StopIteration: {exc}")
    return exc
