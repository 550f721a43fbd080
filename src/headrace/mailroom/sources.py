"""Opens a Maildir, an mbox, a folder or a file, and gives the messages in it as they are stored.

What counts as a message:

* In a Maildir (a folder with cur/ and new/) each file of cur/ and new/, also of its Maildir++
  subfolders (.Sent and the like). tmp/ holds unfinished deliveries.
* In an mbox (a file that begins with "From ") what follows each separator, see `mbox`.
* Any other file, given by itself or at any depth of a folder, if its head has a field of mail, or
  its name ends in .eml, or it is text and its name says nothing else, see `recognition`.

Hidden names, links to folders and files that are no mail are skipped; each is reported with the
reason. Every stored message counts, also one with the bytes of another: its key says where it lies.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from headrace import HeadraceError
from headrace.mailroom.mbox import begins_mbox, read_mbox
from headrace.mailroom.recognition import HEAD_SIZE, why_not_mail


class MailSourceError(HeadraceError):
    """The mail to read cannot be read, or there is none."""


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message as it is stored.

    Attributes:
        key: where it lies below the source, such as "cur/17.host" or "inbox.mbox#3"; unique there.
        content: its bytes.
    """

    key: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that holds no message, and why it was not read."""

    path: Path
    reason: str


@dataclass(slots=True)
class Source:
    """The mail files found at one path.

    Attributes:
        kind: what the path itself is.
        path: as given.
        files: that hold messages, in the order in which they are read.
        mboxes: those of them that hold many.
        skipped: what was passed over.
    """

    kind: Literal["maildir", "mbox", "folder", "file"]
    path: Path
    files: list[Path] = field(default_factory=list)
    mboxes: set[Path] = field(default_factory=set)
    skipped: list[Skipped] = field(default_factory=list)

    def messages(self) -> Iterator[RawMessage]:
        """Read the messages one after the other.

        Raises:
            MailSourceError: a file cannot be read any more.
        """
        for file in self.files:
            yield from self._messages_of(file)

    def _messages_of(self, file: Path) -> Iterator[RawMessage]:
        key = self._key(file)
        try:
            if file in self.mboxes:
                for number, content in enumerate(read_mbox(file), start=1):
                    yield RawMessage(f"{key}#{number}", content)
            else:
                yield RawMessage(key, file.read_bytes())
        except OSError as error:
            raise MailSourceError(_unreadable(file, error)) from error

    def _key(self, file: Path) -> str:
        name = file.name if file == self.path else file.relative_to(self.path)
        return os.fsencode(name).decode("utf-8", "backslashreplace")

    def find(self, folder: Path) -> None:
        """Add the mail files below a folder."""
        if _is_maildir(folder):
            self._find_in_maildir(folder)
            return
        for entry in _entries(folder):
            if entry.name.startswith("."):
                self._skip(entry, "has a hidden name")
            elif entry.is_dir() and not entry.is_symlink():
                self.find(entry)
            else:
                self.add(entry)

    def _find_in_maildir(self, folder: Path) -> None:
        for entry in _entries(folder):
            if not entry.is_dir():
                self._skip(entry, "lies beside cur/ and new/ of a Maildir")
            elif entry.name in {"cur", "new"}:
                self._find_delivered(entry)
            elif entry.name.startswith(".") and _is_maildir(entry):
                self._find_in_maildir(entry)
            elif any(entry.iterdir()):
                self._skip(entry, "is neither cur/ nor new/ of a Maildir")

    def _find_delivered(self, folder: Path) -> None:
        for entry in _entries(folder):
            if entry.name.startswith(".") or not entry.is_file():
                self._skip(entry, "is no delivered message")
            else:
                self.files.append(entry)

    def add(self, file: Path) -> None:
        """Add a file, or report why it is skipped."""
        if not file.is_file():
            self._skip(file, "is not a regular file")
            return
        head = _head(file)
        if reason := why_not_mail(file.name, head):
            self._skip(file, reason)
            return
        self.files.append(file)
        if begins_mbox(head):
            self.mboxes.add(file)

    def _skip(self, path: Path, reason: str) -> None:
        self.skipped.append(Skipped(path, reason))


def open_source(path: Path) -> Source:
    """Find the mail files at a path.

    Raises:
        MailSourceError: the path is missing, cannot be read, or holds no message.
    """
    try:
        mode = path.stat().st_mode
        source = _source_of(path, mode)
    except FileNotFoundError:
        raise MailSourceError(
            f"{path} does not exist; name a Maildir, an mbox, a folder of messages or a message"
        ) from None
    except OSError as error:
        raise MailSourceError(_unreadable(path, error)) from error
    if not source.files:
        raise MailSourceError(_no_messages(source))
    return source


def _source_of(path: Path, mode: int) -> Source:
    if stat.S_ISDIR(mode):
        source = Source("maildir" if _is_maildir(path) else "folder", path)
        source.find(path)
    else:
        source = Source("file", path)
        source.add(path)
        if source.mboxes:
            source.kind = "mbox"
    return source


def _is_maildir(folder: Path) -> bool:
    return (folder / "cur").is_dir() and (folder / "new").is_dir()


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(HEAD_SIZE)


def _unreadable(path: Path, error: OSError) -> str:
    return f"{error.filename or path} cannot be read ({error.strerror}); check its permissions"


def _no_messages(source: Source) -> str:
    if source.path.is_dir():
        return (
            f"{source.path} holds no message ({len(source.skipped)} other files were skipped); "
            "name a Maildir, an mbox, a folder of messages or a message"
        )
    return f"{source.path} {source.skipped[0].reason}; name a message, an mbox or a folder of them"
