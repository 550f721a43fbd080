"""What tests do to the server of a lane."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.embedded import EmbeddedValkey


@contextmanager
def frozen(valkey: EmbeddedValkey) -> Iterator[None]:
    """The server does not answer, as if its machine hung."""
    pid = valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
