"""A server's data directory with its lock, password and log beside it."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headrace.embedded.account import Account
from headrace.errors import DataDirectoryError, DataDirectoryInUse

_POLL = 0.005  # seconds
_LINGER = 10.0  # seconds that a server may need to end after its owner


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Where one server keeps its data; `path` is absolute.

    The lock belongs to the server's own processes, which inherit it: it is free exactly when the
    last of them has ended, however their owner ended.
    """

    path: Path

    @property
    def log(self) -> Path:
        """File that collects what the server prints."""
        return self.path.with_name(f"{self.path.name}.log")

    @property
    def _lock(self) -> Path:
        return self.path.with_name(f"{self.path.name}.lock")

    @property
    def _password(self) -> Path:
        return self.path.with_name(f"{self.path.name}.password")

    @contextmanager
    def claim(self) -> Iterator[int]:
        """Holds the lock; yields its descriptor, for the server to inherit.

        Waits for a server whose owner is gone, since it is about to end.

        Raises:
            DataDirectoryInUse: A server runs here.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            deadline = time.monotonic() + _LINGER
            while not _locked(lock):
                self._refuse_if_owned(lock, overdue=time.monotonic() > deadline)
                time.sleep(_POLL)
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            yield lock
        finally:
            os.close(lock)

    def wait_until_free(self) -> None:
        """Returns when the last process of the server has ended.

        Raises:
            DataDirectoryInUse: One is still there after ten seconds.
        """
        lock = os.open(self._lock, os.O_RDWR | os.O_NOFOLLOW)
        try:
            deadline = time.monotonic() + _LINGER
            while not _locked(lock):
                if time.monotonic() > deadline:
                    raise DataDirectoryInUse(
                        f"processes of the server on {self.path} outlived it: end them by hand"
                    )
                time.sleep(_POLL)
        finally:
            os.close(lock)

    def prepare(self) -> Account:
        """Makes the directory where it is missing, and returns the account to run the server as.

        Raises:
            DataDirectoryError: It belongs to somebody else.
        """
        self.path.mkdir(mode=0o700, exist_ok=True)
        account = Account.for_directory(self.path)
        owner = self.path.stat().st_uid
        if owner == account.uid:
            return account
        if owner != os.geteuid() or not self.is_empty():
            raise DataDirectoryError(
                f"{self.path} belongs to {Account(owner, 0).name} and the server would run as "
                f"{account.name}: change its owner with chown -R, or choose another directory"
            )
        os.chown(self.path, account.uid, account.gid, follow_symlinks=False)
        return account

    def is_empty(self) -> bool:
        """Whether nothing is stored yet."""
        return not any(self.path.iterdir())

    def is_reachable_by(self, account: Account) -> bool:
        """Whether `account` may enter every folder above."""
        return account.is_current or all(
            folder.stat().st_mode & 0o001 for folder in self.path.parents
        )

    def password(self) -> str:
        """The server's password, made at first use and kept in a file of mode 0600.

        Raises:
            DataDirectoryError: There is data, but the password that opens it is gone.
        """
        try:
            return self._password.read_text()
        except FileNotFoundError:
            if not self.is_empty():
                raise DataDirectoryError(
                    f"{self._password} is missing and {self.path} was made with it: "
                    "put it back, or delete both"
                ) from None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        password = secrets.token_urlsafe(24)
        with os.fdopen(os.open(self._password, flags, 0o600), "w") as file:
            file.write(password)
        return password

    def _refuse_if_owned(self, lock: int, *, overdue: bool) -> None:
        owner = os.pread(lock, 32, 0).decode()
        if owner and _is_alive(int(owner)):
            raise DataDirectoryInUse(
                f"{self.path} is in use by a server that process {owner} started: "
                "stop that one, or choose another directory"
            )
        if overdue:
            raise DataDirectoryInUse(
                f"{self.path} is in use by a server that outlived its owner (process {owner}): "
                "end it by hand"
            )


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
