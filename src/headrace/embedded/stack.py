"""PostgreSQL and Valkey together in one folder, as development and the demo use them."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.embedded.postgres import EmbeddedPostgres
from headrace.embedded.valkey import EmbeddedValkey

TOLD = "stack.json"
"""The file in the folder that tells where shared servers are, as long as they run."""


class Stack:
    """Both servers; the folder `directory` is made when missing and used again when not.

    Attributes:
        postgres: The PostgreSQL server, with its data in `directory`/postgres.
        valkey: The Valkey server, with its data in `directory`/valkey.
    """

    def __init__(self, directory: Path = Path(".headrace")) -> None:
        self._directory = Path(directory).absolute()
        self.postgres: EmbeddedPostgres = EmbeddedPostgres(self._directory / "postgres")
        self.valkey: EmbeddedValkey = EmbeddedValkey(self._directory / "valkey")

    @property
    def database_url(self) -> str:
        """Address of PostgreSQL, known once started."""
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        """Address of Valkey, known once started."""
        return self.valkey.url

    @property
    def runs(self) -> bool:
        """Whether both run."""
        return self.postgres.pid is not None and self.valkey.pid is not None

    def start(self) -> None:
        """Starts both, or neither.

        Raises:
            EmbeddedError: One of them does not start; the message says why.
        """
        keep_out_of_git(self._directory)
        with ExitStack() as undo:
            undo.enter_context(self.postgres)
            undo.enter_context(self.valkey)
            undo.pop_all()

    def stop(self) -> None:
        """Stops both, in good order."""
        with ExitStack() as both:
            both.callback(self.postgres.stop)
            both.callback(self.valkey.stop)

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


def keep_out_of_git(directory: Path) -> None:
    """Makes the folder, which holds passwords and lies in the user's project."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / ".gitignore").write_text("*\n")
