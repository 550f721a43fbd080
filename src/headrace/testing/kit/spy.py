"""A spy on a task: how its function was called, and a wait for what becomes of a job."""

import asyncio
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Self
from uuid import UUID

from headrace.app import Headrace
from headrace.errors import UsageError
from headrace.handle import JobHandle
from headrace.model.duration import Duration, parse_duration
from headrace.model.job import Job
from headrace.model.state import State
from headrace.task import Task

_SHORTEST = 0.005
_LONGEST = 0.1
Milestone = Literal["started", "failed", "completed", "dead", "cancelled"]
_REACHED: Mapping[str, Callable[[Job], bool]] = {
    "started": lambda job: job.attempt > 0 or job.snoozes > 0,
    "failed": lambda job: job.failures > 0,
    "completed": lambda job: job.state is State.COMPLETED,
    "dead": lambda job: job.state is State.DEAD,
    "cancelled": lambda job: job.state is State.CANCELLED,
}


class Call:
    """One call of a task's function.

    Attributes:
        args: in order, without the context.
        kwargs: by name, as a worker calls it.
        result: what it returned.
        error: what it raised.
    """

    def __init__(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        self.args = args
        self.kwargs: dict[str, object] = dict(kwargs)
        self.result: object = None
        self.error: BaseException | None = None

    def __repr__(self) -> str:
        ended = f"raised {self.error!r}" if self.error is not None else f"-> {self.result!r}"
        return f"<call {self.args} {self.kwargs} {ended}>"


class Spy:
    """Made by `Jobs.spy`.

    Attributes:
        calls: so far, in the order they began; not those in other processes.
    """

    def __init__(self, app: Headrace, task: Task[..., Any]) -> None:
        self._app = app
        self._task = task
        self.calls: list[Call] = []

    @contextmanager
    def watching(self) -> Iterator[Self]:
        """Write down calls meanwhile."""
        fn = self._task.fn
        self._task.fn = self._async(fn) if self._task.is_async else self._plain(fn)
        try:
            yield self
        finally:
            self._task.fn = fn

    async def wait_for(
        self,
        job: JobHandle[Any] | Job | UUID,
        milestone: Milestone,
        timeout: Duration = "10s",  # noqa: ASYNC109 - part of the message
    ) -> Job:
        """Wait until a job has come so far.

        Args:
            job: its handle or id.
            milestone: "started", "failed" (once, at least), "completed", "dead" or "cancelled".
            timeout: how long at most.

        Returns:
            The job as it is then.

        Raises:
            AssertionError: it ended otherwise, or the time is up.
            UsageError: there is no such milestone.
        """
        if milestone not in _REACHED:
            raise UsageError(f'"{milestone}" is no milestone; known: {", ".join(_REACHED)}')
        job_id = job if isinstance(job, UUID) else job.id
        limit, pause = parse_duration(timeout, "timeout"), _SHORTEST
        try:
            async with asyncio.timeout(limit.total_seconds()):
                while True:
                    now = (await self._app.get(job_id)).job
                    assert now is not None
                    if _REACHED[milestone](now):
                        return now
                    if now.state.final:
                        raise AssertionError(f"{_named(now)} will not be {milestone}")
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST)
        except TimeoutError:
            late = (await self._app.get(job_id)).job
            assert late is not None
            raise AssertionError(
                f"{_named(late)}, not {milestone}, after {limit.total_seconds():g} s"
            ) from None

    def _async(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        async def watched(*args: object, **kwargs: object) -> object:
            with self._noted(args, kwargs) as call:
                call.result = await fn(*args, **kwargs)
            return call.result

        return watched

    def _plain(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def watched(*args: object, **kwargs: object) -> object:
            with self._noted(args, kwargs) as call:
                call.result = fn(*args, **kwargs)
            return call.result

        return watched

    @contextmanager
    def _noted(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Iterator[Call]:
        call = Call(args[self._task.wants_context :], kwargs)
        self.calls.append(call)
        try:
            yield call
        except BaseException as exc:
            call.error = exc
            raise


def _named(job: Job) -> str:
    error = job.error or {}
    why = f" ({error.get('type')}: {error.get('message')})" if error else ""
    return f"job {job.id} ({job.task}) is {job.state}{why}"
