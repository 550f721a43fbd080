"""Tells the end of everything from a cancellation that was meant for one handler."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


class Bystander:
    """A task that no handler knows: who cancels it cancels all, as a closing event loop does.

    Handlers run in the tasks of slots. One that cancels the task that it runs in, or is cancelled
    by a task that it started, cannot be told by its own task from one whose loop closes.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[bool] | None = None

    def start(self) -> None:
        """Begin to stand by."""
        self._task = asyncio.create_task(asyncio.Event().wait(), name="headrace:bystander")

    @property
    def cancelled(self) -> bool:
        """Whether everything is to end, already while others hear of it."""
        return self._task is not None and self._task.cancelling() > 0

    def cancel(self) -> None:
        """Tell that everything is to end."""
        if self._task is not None:
            self._task.cancel()

    async def sees_through(self, running: "asyncio.Future[T]") -> T:
        """Wait for something that a stray cancellation of the caller must not cut off."""
        while not running.done():
            try:
                await asyncio.shield(running)
            except asyncio.CancelledError:
                if self.cancelled:
                    running.cancel()
                    raise
        return running.result()

    async def stop(self) -> None:
        """Stand by no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
