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
from headrace.embedded.alive import is_alive
from headrace.errors import DataDirectoryError, DataDirectoryInUse

_POLL = 0.005  # seconds
_LINGER = 10.0  # seconds that a server may need to end after its owner


@dataclass(frozen=True, slots=True)
class Claim:
    """A held lock, for a server to inherit; its file names the owner's and the server's process.

    Attributes:
        descriptor: The lock.
        ended: Process id of the server that held it before and is gone, if there was one.
    """

    descriptor: int
    ended: int | None

    def record(self, server: int) -> None:
        """Writes down which process is the server."""
        _write(self.descriptor, os.getpid(), server)


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

    @property
    def _port(self) -> Path:
        return self.path.with_name(f"{self.path.name}.port")

    @contextmanager
    def claim(self) -> Iterator[Claim]:
        """Holds the lock while a server starts.

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
            _, *ended = _read(lock)
            _write(lock, os.getpid())
            yield Claim(lock, ended[0] if ended else None)
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

    def last_port(self) -> int | None:
        """The port that the server had when it last ran."""
        try:
            return int(self._port.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def keep_port(self, port: int) -> None:
        """Remembers the port for the next start: clients of a server that died find it again."""
        self._port.write_text(f"{port}\n")

    def _refuse_if_owned(self, lock: int, *, overdue: bool) -> None:
        owner, *_ = _read(lock)
        if is_alive(owner):
            raise DataDirectoryInUse(
                f"{self.path} is in use by a server that process {owner} started: "
                "stop that one, or choose another directory"
            )
        if overdue:
            raise DataDirectoryInUse(
                f"{self.path} is in use by a server that outlived its owner (process {owner}): "
                "end it by hand"
            )


def _read(lock: int) -> list[int]:
    """Process ids of the owner (0 when none ever was) and of the server, if it came to that."""
    return [int(pid) for pid in os.pread(lock, 64, 0).split()] or [0]


def _write(lock: int, *pids: int) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, " ".join(map(str, pids)).encode(), 0)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
