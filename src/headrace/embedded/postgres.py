"""PostgreSQL in a directory: initialised, started, stopped and started again without its tools."""

import os
import re
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from headrace.embedded.account import Account
from headrace.embedded.binaries import Program, find_postgres
from headrace.embedded.copies import reported_version, runnable_by
from headrace.embedded.process import LOOPBACK, Place
from headrace.embedded.server import EmbeddedServer
from headrace.errors import BinariesMissing, DataDirectoryError, DataVersionMismatch

_ROLE = _DATABASE = "headrace"
# Opens the data directory where the account may not enter a folder above it.
_WORKING_DIRECTORY = Path("/proc/self/cwd")


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL server with one superuser and one database, both named headrace.

    Args:
        data_dir: Folder of the data, made when missing; log, lock and password lie beside it.
        port: TCP port on 127.0.0.1; that of the last start or a free one when None.
        settings: Server settings, such as {"fsync": "off"}, for as long as it runs.
        bin_dir: Folder of `postgres` and `initdb`; found as `find_postgres` says when None.
    """

    name = "PostgreSQL"
    # Fast shutdown: ends sessions, writes a checkpoint. SIGTERM would wait for every client.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        bin_dir: Path | None = None,
    ) -> None:
        super().__init__(data_dir, port=port, settings=settings)
        self._bin_dir = bin_dir

    def _start(self, place: Place) -> None:
        postgres = runnable_by(place.account, find_postgres(self._bin_dir))
        major = _major_version(place.account, postgres)
        self._check_data(major)
        if self._directory.is_empty():
            self._initialise(postgres, major, place)
        self._remove_stale_pid_file(place.claim.ended)
        seen = self._as_seen(self.data_dir, place.account, major)
        options = {
            **self.settings,
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",  # their paths end at 107 characters
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        self._launch([postgres.path, "-D", seen, *arguments], place)

    def _is_ready(self) -> bool:
        # The eighth line is the server's state; a file left by a crash has another process id.
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        assert self._process is not None
        return len(lines) > 7 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready"

    def _url(self, password: str) -> str:
        return f"postgresql://{_ROLE}:{password}@{LOOPBACK}:{self.port}/{_DATABASE}"

    def _check_data(self, major: int) -> None:
        if self._directory.is_empty():
            return
        try:
            written_by = (self.data_dir / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise DataDirectoryError(
                f"{self.data_dir} is neither empty nor a PostgreSQL data directory: choose another"
            ) from None
        if written_by != str(major):
            raise DataVersionMismatch(
                f"{self.data_dir} was written by PostgreSQL {written_by} and the binaries are "
                f"{major}: start it with binaries of {written_by} (HEADRACE_POSTGRES_BIN), save it "
                "with pg_dump --format=custom --file=headrace.dump URL, start an empty directory, "
                "and load it with pg_restore --dbname=URL headrace.dump"
            )

    def _remove_stale_pid_file(self, ended: int | None) -> None:
        # The server trusts this file while a process has its number, be it a zombie that nobody
        # collects, as in a container. The lock proves that our last server has ended; a file of
        # any other process is the server's own business.
        pid_file = self.data_dir / "postmaster.pid"
        if pid_file.exists() and pid_file.read_text().partition("\n")[0] == str(ended):
            pid_file.unlink()

    def _as_seen(self, directory: Path, account: Account, major: int) -> Path:
        """The path by which a program of `account` finds the directory that it runs in."""
        if self._directory.is_reachable_by(account):
            return directory
        # Before 16 the programs left their working directory to find themselves.
        if sys.platform == "linux" and major >= 16:
            return _WORKING_DIRECTORY
        raise DataDirectoryError(
            f"{account.name}, who runs the server for root, may not enter every folder above "
            f"{self.data_dir}: choose a directory below /var/lib, or run as another user"
        )

    def _initialise(self, postgres: Program, major: int, place: Place) -> None:
        # Under another name first, so that an end half way leaves no half-made data.
        unfinished = self.data_dir.with_name(f"{self.data_dir.name}.initdb")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        os.chown(unfinished, place.account.uid, place.account.gid)
        there = replace(place, directory=unfinished)
        seen = self._as_seen(unfinished, place.account, major)
        initdb: list[str | Path] = [
            postgres.path.with_name("initdb"),
            "-D",
            seen,
            *_initdb_options(major),
        ]
        self._run("initdb", initdb, there)
        # One session without a network: the password appears in no file and no process list.
        # The role has the name of the ledger's schema, which is no place for tables of the user's.
        setup = (
            f"ALTER ROLE {_ROLE} PASSWORD '{self._known_password}'\nCREATE DATABASE {_DATABASE}\n"
            f"ALTER DATABASE {_DATABASE} SET search_path = public\n"
        )
        session: list[str | Path] = [postgres.path, "--single", "-D", seen, "template1"]
        self._run("setup", session, there, text=setup)
        unfinished.rename(self.data_dir)


def _initdb_options(major: int) -> list[str]:
    options = [f"--username={_ROLE}", "--no-instructions", "--encoding=UTF8", "--locale=C"]
    if major >= 17:
        # Sorts as C does and folds the case of every letter, whatever the system's libraries.
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return [*options, "--auth-host=scram-sha-256", "--auth-local=reject"]


def _major_version(account: Account, postgres: Program) -> int:
    reported = reported_version(account, postgres)
    found = re.search(r"PostgreSQL\) (\d+)", reported or "")
    if found is None:
        raise BinariesMissing(f"{postgres.path} does not say its version: is it PostgreSQL?")
    return int(found[1])
