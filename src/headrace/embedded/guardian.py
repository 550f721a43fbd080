"""The process whose children the shared servers are: it ends them when nobody uses them any more.

Run as a program with the folder as its argument, by `SharedStack`. It answers with a line of JSON,
the URLs or an error, and goes on in the background.
"""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from headrace.embedded.lock import FileLock
from headrace.embedded.stack import TOLD, Stack
from headrace.errors import EmbeddedError

_POLL = 0.05  # seconds


def main(directory: Path) -> None:
    """Guards the servers in a folder, in a process that is nobody's child.

    So whoever starts them can wait for the answer and need not collect the guardian.
    """
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    users = FileLock(directory / "users.lock")  # held to the very end: nobody comes in meanwhile
    try:
        with Stack(directory) as stack:
            _answer({"database_url": stack.database_url, "redis_url": stack.redis_url})
            try:
                _guard(stack, users)
            finally:
                (directory / TOLD).unlink(missing_ok=True)  # nobody shall find servers that end
    except EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
        _answer({"error": type(error).__name__, "message": str(error)})


def _guard(stack: Stack, users: FileLock) -> None:
    """Returns when nobody uses the servers, with the lock on users, or when one of them ended."""
    while not users.take():
        if not stack.runs:
            sys.stderr.write("a server ended by itself; its log tells why\n")
            return
        time.sleep(_POLL)


def _answer(document: dict[str, str]) -> None:
    """Speaks once, for whoever listens reads to the end."""
    with contextlib.suppress(BrokenPipeError):  # nobody listens, so nobody uses the servers either
        os.write(1, json.dumps(document).encode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
