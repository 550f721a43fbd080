"""The mail that the demo reads when it is given none: real messages that are installed already."""

import importlib.util
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from headrace.mailroom.sources import MailSourceError, RawMessage

FEWEST_MESSAGES = 40


@dataclass(frozen=True, slots=True)
class Corpus:
    """Messages that something else brought.

    Attributes:
        name: what brought them, as a reader would say it.
        files: where they lie, one message a file.
    """

    name: str
    files: tuple[Path, ...]

    @property
    def messages(self) -> list[RawMessage]:
        """Read the messages; each is keyed by the name of its file.

        Raises:
            MailSourceError: a file cannot be read.
        """
        try:
            return [RawMessage(file.name, file.read_bytes()) for file in self.files]
        except OSError as error:
            raise MailSourceError(
                f"{error.filename} of {self.name} cannot be read ({error.strerror}); name a PATH"
            ) from error


def default_corpus() -> Corpus:
    """Find messages: CPython's e-mail tests, else the tests of flufl.bounce.

    Each has multipart messages, charsets other than UTF-8, attachments and bounces.

    Raises:
        MailSourceError: neither is installed.
    """
    for corpus in (_of_cpython(), _of_flufl_bounce()):
        if len(corpus.files) >= FEWEST_MESSAGES:
            return corpus
    raise MailSourceError(
        "this Python has neither the data of its e-mail tests nor flufl.bounce 4; "
        "install headrace[demo], or name a Maildir, an mbox, a folder of messages or a message"
    )


def _of_cpython() -> Corpus:
    tests = importlib.util.find_spec("test")
    folders = tests.submodule_search_locations or () if tests else ()
    data = (Path(folder, "test_email", "data") for folder in folders)
    found = sorted(file for folder in data for file in folder.glob("msg_*.txt"))
    return Corpus("the e-mail tests of CPython", tuple(found))


def _of_flufl_bounce() -> Corpus:
    try:
        installed = files("flufl.bounce") or ()
    except PackageNotFoundError:
        installed = ()
    data = (file for file in installed if file.match("flufl/bounce/tests/data/*.txt"))
    found = sorted(Path(file.locate()) for file in data)
    return Corpus("the tests of flufl.bounce", tuple(file for file in found if file.is_file()))
