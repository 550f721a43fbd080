"""From the options of a command to the ledger it works on."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from headrace.cli.output import noting_if_it_lasts
from headrace.config import read_settings
from headrace.connect import inspecting
from headrace.errors import ConfigError, UsageError
from headrace.ports.inspector import Inspector

if TYPE_CHECKING:
    from headrace.app import Headrace

EMBEDDED = Path(".headrace")
T = TypeVar("T")


@contextmanager
def database(url: str | None, *, embedded: bool) -> Iterator[str]:
    """The URL of the database; embedded servers, shared with other commands, run until the end.

    Raises:
        UsageError: both were given.
        ConfigError: no database is configured.
        EmbeddedError: the servers do not start.
    """
    if not embedded:
        yield url or _configured()
        return
    if url:
        raise UsageError(
            "both a database URL and --embedded are given; choose one (HEADRACE_DATABASE_URL "
            "counts as given)"
        )
    from headrace.cli.new_servers import make_ready
    from headrace.embedded import SharedStack

    stack = SharedStack(EMBEDDED, prepare=lambda urls: asyncio.run(make_ready(urls)))
    with ExitStack() as until_the_end:
        with noting_if_it_lasts(f"starting PostgreSQL and Valkey in ./{EMBEDDED} ..."):
            urls = until_the_end.enter_context(stack)
        # Everything that reads settings, the command's own application too, uses both servers.
        os.environ["HEADRACE_REDIS_URL"] = urls.redis_url
        try:
            yield urls.database_url
        finally:
            os.environ.pop("HEADRACE_REDIS_URL", None)


@contextmanager
def application(path: str, url: str | None, *, embedded: bool) -> "Iterator[Headrace]":
    """The application that `path` names, with its database: as given, its own, or an embedded one.

    Raises:
        UsageError: there is no such application, or two databases were named.
        AppBroken: its module fails.
        ConfigError, EmbeddedError: as `database`.
    """
    from headrace.cli.application import database_url_of, load_app_on_embedded

    found = database_url_of(path, url, embedded=embedded)
    with database(found, embedded=embedded) as known:
        # The application reads its settings itself, and code of its own may connect as well.
        os.environ["HEADRACE_DATABASE_URL"] = known
        yield load_app_on_embedded(path, known, embedded=embedded)


def inspect(url: str | None, *, embedded: bool, work: Callable[[Inspector], Awaitable[T]]) -> T:
    """What `work` answers, given what operators see and do."""

    async def run(found: str) -> T:
        async with inspecting(read_settings({"database_url": found})) as inspector:
            return await work(inspector)

    with database(url, embedded=embedded) as found:
        return asyncio.run(run(found))


def actor() -> str:
    """Who gives this command, as it is kept in the history of jobs."""
    return f"cli:{getpass.getuser()}"


def _configured() -> str:
    url = read_settings({}).database_url
    if not url:
        raise ConfigError(
            "no database is configured; give --database-url, set HEADRACE_DATABASE_URL, or add "
            "--embedded for a server in ./.headrace"
        )
    return url
