"""Starts programs that end with this process, and finds free ports for them."""

import functools
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from headrace.embedded import become
from headrace.embedded.account import Account
from headrace.embedded.directory import Claim
from headrace.errors import EmbeddedError

LOOPBACK = "127.0.0.1"
# Below the ports that systems hand to outgoing connections: a client that reconnects to a stopped
# server on such a port can get the very same port, connect to itself and keep the server out.
_PORTS = range(20_000, 32_768)
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
_KERNEL_TELLS = sys.platform == "linux"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Place:
    """What the programs of one server have in common.

    Attributes:
        directory: Their working directory.
        account: Whom they run as.
        claim: Lock on the data that they inherit.
        log: File that their output is appended to.
    """

    directory: Path
    account: Account
    claim: Claim
    log: Path


def spawn(
    command: Sequence[str | Path], place: Place, *, death_signal: signal.Signals, text: str = ""
) -> subprocess.Popen[bytes]:
    """Starts a program in a session of its own that ends when this process ends.

    Linux sees to that; elsewhere a watchman does, a process that sleeps until then.

    Args:
        command: Absolute path of the program, then its arguments.
        place: Where it runs, and as whom.
        death_signal: What it is sent when this process ends.
        text: Its standard input.
    """
    owner = os.getpid()
    start = [sys.executable, "-I", "-S", become.__file__]
    life = -1 if _KERNEL_TELLS else _life(owner)
    identity = [owner, life, int(death_signal), place.account.uid, place.account.gid]

    def fork() -> subprocess.Popen[bytes]:
        with os.fdopen(os.open(place.log, _APPEND, 0o600), "ab") as output:
            return subprocess.Popen(
                [*start, *map(str, identity), *map(str, command)],
                cwd=place.directory,
                env=_ENVIRONMENT,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[place.claim.descriptor, *([] if _KERNEL_TELLS else [life])],
                start_new_session=True,
            )

    process = _forking_thread(owner).run(fork)
    _feed(process, text)
    return process


def _feed(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stdin is not None
    try:
        with process.stdin as pipe:
            pipe.write(text.encode())
    except BrokenPipeError:
        pass  # it ended before it read anything; the caller sees that, and the log says why


class _ForkingThread:
    """Forks children from a thread that lives as long as the process.

    Linux sends the death signal when the *thread* that forked the child ends, so a server started
    from a short-lived thread, such as one of a pool, would stop for no visible reason.
    """

    def __init__(self) -> None:
        self._orders: SimpleQueue[
            tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]
        ] = SimpleQueue()
        # A daemon thread is left alone, not joined, when the interpreter ends.
        threading.Thread(target=self._work, name="headrace-fork", daemon=True).start()

    def run(self, fork: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((fork, answer))
        return answer.result()

    def _work(self) -> None:
        while True:
            fork, answer = self._orders.get()
            try:
                answer.set_result(fork())
            except Exception as error:  # noqa: BLE001 - raised again in the thread that asked
                answer.set_exception(error)


@functools.cache
def _forking_thread(_pid: int) -> _ForkingThread:
    # By process id, for a forked child has the memory of its parent but not its threads.
    return _ForkingThread()


@functools.cache
def _life(_pid: int) -> int:
    """A pipe that nobody writes into; it ends with this process, which alone has the other end."""
    reading, _kept_open = os.pipe()
    return reading


def free_port() -> int:
    """A TCP port of loopback that nobody listens on.

    Raises:
        EmbeddedError: None is free.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        if is_free(port):
            return port
    raise EmbeddedError(f"no port from {_PORTS.start} to {_PORTS.stop - 1} is free on {LOOPBACK}")


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
