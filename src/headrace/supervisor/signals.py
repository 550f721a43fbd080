"""SIGTERM and SIGINT: the first asks to drain, the second ends at once."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def draining(drain: Callable[[], None], end: Callable[[], None] | None = None) -> Iterator[None]:
    """While inside, the first signal calls `drain` and the next one `end`.

    Without `end` the second signal ends this process as the signal would have.
    """
    loop = asyncio.get_running_loop()
    asked = False

    def on_signal(number: int) -> None:
        nonlocal asked
        if not asked:
            asked = True
            drain()
        elif end is not None:
            end()
        else:
            loop.remove_signal_handler(number)
            os.kill(os.getpid(), number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
