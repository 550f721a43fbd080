"""The servers that all processes of a project share: the first one starts them, the last ends them.

They are children of a process of their own, the guardian, so that no user's end concerns another.
Four files in the folder agree on everything, and three of them are locks, which nobody can leave
behind: `door.lock` is held by who comes or goes, one at a time; `users.lock` is shared by all who
use the servers, so that the guardian ends them once it has it alone; `guardian.lock` is held by the
guardian as long as it lives. `stack.json` tells the URLs, from when all is prepared for the users
until the servers end.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from headrace import errors
from headrace.embedded.lock import FileLock
from headrace.embedded.stack import TOLD, keep_out_of_git
from headrace.errors import DataDirectoryError, DataDirectoryInUse, EmbeddedError, ServerFailed

_AT_THE_DOOR = 120.0  # seconds; whoever is first makes the data, perhaps on a slow disk
_UNTIL_ENDED = 40.0  # seconds; a server has thirty to stop


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the servers are, with user and password.

    Attributes:
        database_url: Of PostgreSQL.
        redis_url: Of Valkey.
    """

    database_url: str
    redis_url: str


class SharedStack:
    """Both servers in `directory`, started by its first user and ended with its last one.

    Users of several processes come and go as they like, with `join` and `leave` or as a context
    manager, and by being killed.

    Args:
        directory: Folder of the servers, made when missing.
        prepare: Called by the user who starts the servers, before any other is let in.
    """

    def __init__(self, directory: Path, *, prepare: Callable[[Urls], None]) -> None:
        self._directory = Path(directory).absolute()
        self._prepare = prepare
        self._door = FileLock(self._directory / "door.lock")
        self._users = FileLock(self._directory / "users.lock")
        self._guardian = FileLock(self._directory / "guardian.lock")

    @property
    def file(self) -> Path:
        """The file that tells the URLs, of mode 0600."""
        return self._directory / TOLD

    def join(self) -> Urls:
        """Uses the servers from now on, and starts them where they do not run.

        Raises:
            EmbeddedError: They do not start; the message says why.
        """
        self._check_folder()
        with self._at_the_door():
            return self._enter()

    def leave(self) -> None:
        """Uses the servers no more; returns when they have ended, if nobody else uses them."""
        with self._at_the_door():
            self._exit()

    def __enter__(self) -> Urls:
        return self.join()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()

    def _check_folder(self) -> None:
        try:
            keep_out_of_git(self._directory)
            for lock in (self._door, self._users, self._guardian):
                lock.make()
        except PermissionError as error:
            raise DataDirectoryError(
                f"{error.filename} belongs to another account: change its owner with chown -R, "
                "or work in another folder"
            ) from None
        except OSError as error:
            raise DataDirectoryError(
                f"{error.filename} cannot be made or used ({error.strerror}): remove what is "
                "there, or work in another folder"
            ) from None

    @contextmanager
    def _at_the_door(self) -> Iterator[None]:
        if not self._door.wait(_AT_THE_DOOR):
            raise DataDirectoryInUse(
                f"another process has been starting or leaving the servers in {self._directory} "
                f"for {_AT_THE_DOOR:.0f} s: end it, then try again"
            )
        try:
            yield
        finally:
            self._door.release()

    def _enter(self) -> Urls:
        while True:
            if self._guardian.take():
                return self._start()
            # What cannot be shared is the guardian's, which is about to end. So it is without a
            # file: a server died, or whoever started them was killed before all was prepared.
            if self._users.take(shared=True) and self.file.exists():
                return Urls(**json.loads(self.file.read_text()))
            self._users.release()
            self._wait_for_the_end()

    def _start(self) -> Urls:
        alone = self._users.take(shared=True)
        assert alone  # the door is ours, and no guardian lives
        self.file.unlink(missing_ok=True)
        try:
            urls = self._launch()
            self._prepare(urls)
            self._tell(urls)
        except BaseException:
            self._exit()
            raise
        return urls

    def _launch(self) -> Urls:
        """Starts the guardian, which inherits its lock, and hears whether the servers run."""
        log = self._directory / "guardian.log"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(log, flags, 0o600), "wb") as errors_of_guardian:
                answer = subprocess.run(
                    [sys.executable, "-P", "-m", "headrace.embedded.guardian", self._directory],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors_of_guardian,
                    pass_fds=[self._guardian.descriptor],
                    start_new_session=True,  # out of reach of the keys of a terminal
                    check=False,
                ).stdout
        finally:
            self._guardian.release()
        if not answer:
            raise ServerFailed(
                f"the guardian of the servers in {self._directory} ended by itself; see {log}"
            )
        told = json.loads(answer)
        if "error" in told:
            raise _as_told(told["error"], told["message"])
        return Urls(**told)

    def _tell(self, urls: Urls) -> None:
        unfinished = self.file.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(unfinished, flags, 0o600), "w") as file:
            json.dump(asdict(urls), file, indent=2)
        unfinished.rename(self.file)

    def _exit(self) -> None:
        self._users.release()
        if not self._others_use_it():
            self._wait_for_the_end()

    def _others_use_it(self) -> bool:
        """Whether anybody does; nobody can come meanwhile."""
        probe = FileLock(self._directory / "users.lock")
        try:
            # What cannot be had alone but shared is shared by others, and not the guardian's alone.
            return not probe.take() and probe.take(shared=True)
        finally:
            probe.release()

    def _wait_for_the_end(self) -> None:
        if not self._guardian.wait(_UNTIL_ENDED):
            raise DataDirectoryInUse(
                f"the servers in {self._directory} neither end nor can be used: end the commands "
                "that use them and the process that holds guardian.lock, then try again"
            )
        self._guardian.release()


def _as_told(name: str, message: str) -> EmbeddedError:
    error = getattr(errors, name)(message)
    assert isinstance(error, EmbeddedError)
    return error
