"""Locks on files: the kernel takes them back however their holder ends."""

import fcntl
import os
import time
from pathlib import Path

_POLL = 0.005  # seconds


class FileLock:
    """A lock on a file, which is made when missing; each object is another holder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """What a child inherits to hold the lock as well; it is held."""
        assert self._descriptor is not None
        return self._descriptor

    def make(self) -> None:
        """Makes the file where it is missing.

        Raises:
            OSError: it cannot be made or used.
        """
        os.close(self._open())

    def take(self, *, shared: bool = False) -> bool:
        """Takes the lock if that is possible now, shared with others or alone."""
        if self._descriptor is None:
            self._descriptor = self._open()
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """Takes the lock, alone, as soon as that is possible; False if it is not in time."""
        deadline = time.monotonic() + seconds
        while not self.take():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        return True

    def release(self) -> None:
        """Holds the lock no more; a child that inherited it still does."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
