"""Events: what happens to jobs, told while it happens. `async for event in app.events():`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

import msgspec

from headrace.bus.herald import FRESH
from headrace.errors import UsageError
from headrace.handle import JobHandle
from headrace.intake import as_id
from headrace.model import event
from headrace.model.event import Event
from headrace.model.names import check_name
from headrace.ports.bus import Gap, Heard
from headrace.ports.engine import Engine
from headrace.task import Task

_MARGIN = 0.2
_decode = msgspec.json.Decoder(Event).decode


class Owner(Protocol):
    """What events need of their application."""

    @property
    def engine(self) -> Engine:
        """The engine of the running event loop."""

    async def declare(self) -> None:
        """Make known what was registered since the start."""


class Events:
    """What happens to jobs while somebody listens; what happened before is not told.

    `async for event in app.events():` begins and ends by itself. `async with app.events() as
    events:` knows when it has begun: within, whatever happens in any process is told. That takes
    somewhat over a second, in which all of them find out that somebody listens.

    What a slow reader or a bus that is away keeps from it is told as an event of the kind `gap`.
    """

    def __init__(self, app: Owner, queue: str | None, task: str | None, job: UUID | None) -> None:
        self._app = app
        self._queue = queue
        self._task = task
        self._job = job
        self._stack = AsyncExitStack()
        self._heard: AsyncIterator[Heard] | None = None

    async def __aenter__(self) -> Self:
        """Begin to listen; what happens from its return on is told.

        Raises:
            UsageError: the application is not started here.
            UnknownQueue: there is no such queue.
            ConfigError: nothing here can be heard: without redis_url it takes LISTEN.
            LedgerUnavailable, LaneUnavailable: the bus is away.
        """
        await self._app.declare()
        engine = self._app.engine
        if self._queue is not None:
            await engine.inspector.queue(self._queue)
        async with self._stack:
            channels = [event.channel_of(self._queue or "")]
            self._heard = await self._stack.enter_async_context(engine.bus.subscribe(channels))
            engine.herald.ask_again()
            await asyncio.sleep(FRESH + _MARGIN)  # others have asked who hears, and will again
            self._stack = self._stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Listen no more."""
        self._heard = None
        await self._stack.aclose()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The events, as they come."""
        if self._heard is not None:
            async for one in self._events(self._heard):
                yield one
            return
        async with self:
            assert self._heard is not None
            async for one in self._events(self._heard):
                yield one

    async def _events(self, heard: AsyncIterator[Heard]) -> AsyncIterator[Event]:
        new_id = self._app.engine.new_id
        async for message in heard:
            if isinstance(message, Gap):
                yield event.gap(new_id(), message.lost)
                continue
            told = _decode(message.body)
            if self._task in (None, told.task) and self._job in (None, told.job):
                yield told


def events_of(app: Owner, queue: object, task: object, job: object) -> Events:
    """The events that are asked for.

    Raises:
        UsageError: one of them is none.
    """
    if queue is not None:
        queue = check_name("queue", queue)
    if isinstance(task, Task):
        task = task.name
    elif not (task is None or isinstance(task, str)):
        raise UsageError(f"events are told of a task by its name, not {task!r}; give task.name")
    if isinstance(job, JobHandle):
        job = job.id
    return Events(app, queue, task, None if job is None else as_id(job))
