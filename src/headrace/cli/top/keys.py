"""Keys of the terminal, as they are pressed."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def on_key(key: str, call: Callable[[], None]) -> Iterator[None]:
    """Within, `call` is called when this key is pressed; nothing where there is no keyboard."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    loop = asyncio.get_running_loop()

    def read() -> None:
        pressed = os.read(keyboard, 64)
        if not pressed:  # the terminal is gone
            loop.remove_reader(keyboard)
        if not pressed or key.encode() in pressed.lower():
            call()

    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)  # Ctrl-C stays a signal
    loop.add_reader(keyboard, read)
    try:
        yield
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
