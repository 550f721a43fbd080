"""Valkey in a directory: every write in its append-only file, behind a password."""

import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from headrace.embedded.binaries import find_valkey
from headrace.embedded.copies import runnable_by
from headrace.embedded.process import LOOPBACK, Place
from headrace.embedded.server import EmbeddedServer

_SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": '""',  # the append-only file is enough
    "maxmemory-policy": "noeviction",
}
_ANSWERED_WITHIN = 1.0  # seconds


class EmbeddedValkey(EmbeddedServer):
    """A Valkey server that keeps what it is told in an append-only file, synced every second.

    Args:
        data_dir: Folder of the data, made when missing; log, lock and password lie beside it.
        port: TCP port on 127.0.0.1; that of the last start or a free one when None.
        settings: Lines of valkey.conf, such as {"appendfsync": "always"}.
        server: The `valkey-server` to run; found as `find_valkey` says when None.
    """

    name = "Valkey"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        server: Path | None = None,
    ) -> None:
        super().__init__(data_dir, port=port, settings=settings)
        self._server = server

    def _start(self, place: Place) -> None:
        valkey = runnable_by(place.account, find_valkey(self._server))
        settings = {
            **_SETTINGS,
            **self.settings,
            "bind": LOOPBACK,
            "port": str(self.port),
            "requirepass": self._known_password,
            "dir": ".",
        }
        configuration = "".join(f"{name} {value}\n" for name, value in settings.items())
        # From standard input, so that the password appears in no process list.
        self._launch([valkey.path, "-"], place, text=configuration)

    def _is_ready(self) -> bool:
        # The password tells our server from any other that might listen there.
        request = f"AUTH {self._known_password}\r\nPING\r\n".encode()
        try:
            with socket.create_connection((LOOPBACK, self.port), _ANSWERED_WITHIN) as connection:
                connection.sendall(request)
                with connection.makefile("rb") as reply:
                    return [reply.readline(), reply.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False

    def _url(self, password: str) -> str:
        return f"redis://:{password}@{LOOPBACK}:{self.port}/0"
