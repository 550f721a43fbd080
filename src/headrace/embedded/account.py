"""The account that servers run as: PostgreSQL refuses root, and no server needs it."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from headrace.errors import EmbeddedError


class RunAs(TypedDict, total=False):
    """Arguments of `subprocess.run` that change the user of the child."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """A user and group that a server runs as."""

    uid: int
    gid: int

    @classmethod
    def current(cls) -> "Account":
        """The account of this process."""
        return cls(os.geteuid(), os.getegid())

    @classmethod
    def for_directory(cls, directory: Path) -> "Account":
        """The account to run a server on `directory` as.

        Root hands over to the directory's owner, so that whoever made the data keeps it, and to
        `nobody` where root owns it. Anybody else can only be themselves.

        Raises:
            EmbeddedError: Root owns it and the system has no account named nobody.
        """
        current = cls.current()
        if not current.is_root:
            return current
        status = directory.stat()
        if status.st_uid != 0:
            return cls(status.st_uid, status.st_gid)
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            raise EmbeddedError(
                f"root runs no servers and there is no account named nobody: give {directory} to "
                "the account that shall run the server, with chown"
            ) from None
        return cls(nobody.pw_uid, nobody.pw_gid)

    @property
    def is_root(self) -> bool:
        """Whether this is the superuser."""
        return self.uid == 0

    @property
    def is_current(self) -> bool:
        """Whether this process already runs as this account."""
        return self.uid == os.geteuid()

    @property
    def name(self) -> str:
        """Login name, or the bare number where the system knows no name."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"uid {self.uid}"

    @property
    def run_as(self) -> RunAs:
        """Arguments of `subprocess.run` for a child of this account."""
        if self.is_current:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}
