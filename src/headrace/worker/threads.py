"""Handlers in threads: what is waited for cannot be cut off."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from headrace.worker.bystander import Bystander

T = TypeVar("T")


async def in_thread(
    threads: ThreadPoolExecutor | None, bystander: Bystander, call: Callable[[], T]
) -> T:
    """Call in a thread; a stray cancellation frees no slot whose thread still runs."""
    return await bystander.sees_through(asyncio.get_running_loop().run_in_executor(threads, call))


async def raising_here(
    threads: ThreadPoolExecutor | None,
    bystander: Bystander,
    variables: contextvars.Context,
    call: Callable[[], Any],
) -> Any:  # noqa: ANN401 - what it returns
    """The same for what is surrounded in the event loop, where its exception is raised.

    It sees a copy of the context variables: the loop goes on in the original.
    """
    apart = variables.copy()

    def caught() -> tuple[Any, BaseException | None]:
        try:
            return apart.run(call), None
        except BaseException as exc:  # noqa: BLE001 - a future refuses some, others end the loop
            return None, exc

    value, raised = await in_thread(threads, bystander, caught)
    if raised is not None:
        raise raised
    return value
