"""The life of an embedded server: claim its directory, start, become ready, stop."""

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from headrace.embedded.directory import DataDirectory
from headrace.embedded.process import LOOPBACK, Place, free_port, is_free, spawn
from headrace.errors import EmbeddedError, ServerFailed

_POLL = 0.005  # seconds
_READY_WITHIN = 60.0  # seconds; recovery after a crash replays the log first
_STOPPED_WITHIN = 30.0  # seconds
_LINES_OF_LOG = 5


class EmbeddedServer(ABC):
    """A server on loopback that ends with this process (on Linux; elsewhere, stop it).

    A port that is not given is the one of the last start, where that is free. Use it as a context
    manager, or call `start` and `stop`.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(
        self, data_dir: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.settings: dict[str, str] = dict(settings or {})
        self._directory = DataDirectory(Path(data_dir).resolve())
        self._port = port
        self._password: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data_dir(self) -> Path:
        """Path of the data, absolute and without links, so that all agree on one lock."""
        return self._directory.path

    @property
    def url(self) -> str:
        """Address with user and password, known once the server was started.

        Raises:
            EmbeddedError: It never was.
        """
        return self._url(self._known_password)

    @property
    def port(self) -> int:
        """TCP port on 127.0.0.1, known once the server was started.

        Raises:
            EmbeddedError: It never was.
        """
        if self._port is None:
            raise self._never_started()
        return self._port

    @property
    def pid(self) -> int | None:
        """Process id of the running server, else None."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    def start(self) -> None:
        """Starts the server, on new data or on what is there, and returns when it answers.

        Raises:
            BinariesMissing: There is no program to run.
            DataDirectoryError: The directory is in use, another version's or somebody else's.
            EmbeddedError: The port is taken.
            ServerFailed: The program ended, or was not ready within a minute.
        """
        with self._directory.claim() as claim:
            account = self._directory.prepare()
            self._password = self._directory.password()
            self._port = self._free_port()
            self._start(Place(self.data_dir, account, claim, self._directory.log))
            self._directory.keep_port(self._port)

    def stop(self) -> None:
        """Ends the server in good order; nothing happens where it does not run."""
        if self.pid is not None:
            self._end(self.stop_signal)

    def kill(self) -> None:
        """Ends the server with SIGKILL, as a crash would; nothing happens where it does not run."""
        if self.pid is not None:
            self._end(signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @abstractmethod
    def _start(self, place: Place) -> None:
        """Prepares the data and calls `_launch`."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether the launched process answers requests."""

    @abstractmethod
    def _url(self, password: str) -> str:
        """The address, with this password."""

    @property
    def _known_password(self) -> str:
        if self._password is None:
            raise self._never_started()
        return self._password

    def _never_started(self) -> EmbeddedError:
        return EmbeddedError(f"{self.name} on {self.data_dir} was never started: call start()")

    def _free_port(self) -> int:
        if self._port is None:
            last = self._directory.last_port()
            return free_port() if last is None or not is_free(last) else last
        if not is_free(self._port):
            raise EmbeddedError(
                f"{self.name} cannot listen on {LOOPBACK}:{self._port}, which is taken: "
                "choose another port"
            )
        return self._port

    def _launch(self, command: Sequence[str | Path], place: Place, *, text: str = "") -> None:
        """Starts the server's process and returns when it is ready."""
        log_begins = self._log_size()
        process = self._process = spawn(command, place, death_signal=self.stop_signal, text=text)
        place.claim.record(process.pid)
        try:
            self._wait_until_ready(process, log_begins)
        except BaseException:
            process.kill()
            process.wait()
            raise

    def _run(
        self, what: str, command: Sequence[str | Path], place: Place, *, text: str = ""
    ) -> None:
        """Runs a program that prepares the data to its end."""
        log_begins = self._log_size()
        process = spawn(command, place, death_signal=signal.SIGKILL, text=text)
        if process.wait() != 0:
            raise self._failed(f"failed in {what}", log_begins)

    def _wait_until_ready(self, process: subprocess.Popen[bytes], log_begins: int) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while not self._is_ready():
            if process.poll() is not None:
                raise self._failed("did not start", log_begins)
            if time.monotonic() > deadline:
                raise self._failed(f"was not ready within {_READY_WITHIN:.0f} s", log_begins)
            time.sleep(_POLL)

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        try:
            self._process.wait(_STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # Children of a killed server notice its end a moment later and must not meet the next one.
        self._directory.wait_until_free()

    def _log_size(self) -> int:
        log = self._directory.log
        return log.stat().st_size if log.exists() else 0

    def _failed(self, what: str, log_begins: int) -> ServerFailed:
        log = self._directory.log
        with log.open(errors="replace") as file:
            file.seek(log_begins)
            lines = file.read().splitlines()
        told = " | ".join(lines[-_LINES_OF_LOG:])
        return ServerFailed(f"{self.name} {what} on {self.data_dir}; {log} ends: {told}")
