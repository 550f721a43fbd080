"""A standby of a PostgreSQL server, made as operators make one: by pg_basebackup."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from headrace.embedded import EmbeddedPostgres
from headrace.embedded.account import Account
from headrace.embedded.binaries import find_postgres


class Standby(EmbeddedPostgres):
    """Follows its primary until it is promoted."""

    def _is_ready(self) -> bool:
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        assert self._process is not None
        ours = len(lines) > 7 and lines[0] == str(self._process.pid)
        return ours and lines[7].strip() in {"standby", "ready"}


def tool(name: str) -> Path:
    """The program of this name beside the server's."""
    return find_postgres(None).path.with_name(name)


def standby_of(
    primary: EmbeddedPostgres,
    directory: Path,
    settings: Mapping[str, str] | None = None,
    feed: str | None = None,
) -> Standby:
    """A standby of a running server, not yet started, in an empty directory.

    Args:
        primary: what it follows.
        directory: for its data.
        settings: of the server.
        feed: the URL by which it reaches the primary, if that is another one.
    """
    data = directory / "postgres"
    options = ["--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf"]
    command: list[str | Path] = [
        tool("pg_basebackup"),
        *options,
        f"--dbname={feed or primary.url}",
        f"--pgdata={data}",
    ]
    subprocess.run(command, check=True)
    password = primary.data_dir.with_name("postgres.password")
    shutil.copy2(password, directory)
    account = Account.for_directory(primary.data_dir)
    for path in (data, *data.rglob("*")):
        os.chown(path, account.uid, account.gid)
    return Standby(data, settings=settings)
