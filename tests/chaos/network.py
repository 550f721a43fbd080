"""What can befall the bytes between a client and a server."""

import threading
from dataclasses import dataclass
from enum import Enum


class Direction(Enum):
    """Which way bytes go."""

    REQUESTS = "client to server"
    REPLIES = "server to client"


BOTH = frozenset(Direction)


@dataclass(frozen=True)
class Pass:
    """Carry bytes at once."""


@dataclass(frozen=True)
class Delay:
    """Carry bytes after some seconds."""

    seconds: float


@dataclass(frozen=True)
class Slow:
    """Carry so many bytes a second on each connection."""

    bytes_per_second: int


@dataclass(frozen=True)
class Hold:
    """Carry nothing until healed, then everything: a partition that TCP survives."""


@dataclass(frozen=True)
class Drop:
    """Lose bytes and closings: half-open. Healing resets the connections that lost something."""


NetworkFault = Pass | Delay | Slow | Hold | Drop


class Trap:
    """Waits for one request; what it then does to the connection is the proxy's to say."""

    def __init__(self, pattern: bytes, *, forward: bool) -> None:
        self.pattern = pattern
        self.forward = forward
        self._sprung = threading.Event()

    @property
    def sprung(self) -> bool:
        """Whether the connection has been reset."""
        return self._sprung.is_set()

    def wait(self, timeout: float = 10.0) -> None:
        """Block until the connection has been reset; raises TimeoutError after so many seconds."""
        if not self._sprung.wait(timeout):
            raise TimeoutError(f"no request with {self.pattern!r} passed within {timeout:g} s")

    def spring(self) -> None:
        """Record that the connection has been reset."""
        self._sprung.set()
