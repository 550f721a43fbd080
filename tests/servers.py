"""Real servers for tests: one pair per test process, and cheap copies for tests that kill them."""

import fcntl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg.sql import SQL, Identifier

from headrace.embedded import EmbeddedPostgres

ROOMY = {"max_connections": "200"}
# Commits still survive a crash of the server, only not one of the machine.
QUICK = {**ROOMY, "fsync": "off"}


def postgres_template(shared: Path) -> Path:
    """An initialised data directory below `shared`, made by whichever test process comes first."""
    template = shared / "template"
    with (shared / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            unfinished = shared / "unfinished"
            with EmbeddedPostgres(unfinished / "postgres", settings=QUICK):
                pass
            unfinished.rename(template)
    return template


def postgres_from(
    template: Path, directory: Path, settings: Mapping[str, str] = ROOMY
) -> EmbeddedPostgres:
    """A server, not yet started, on a copy of the template: a fifth of the time of initdb."""
    copy_postgres(template, directory)
    return EmbeddedPostgres(directory / "postgres", settings=settings)


def copy_postgres(template: Path, directory: Path) -> None:
    """Puts a copy of the template's data, named postgres, and of its password into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    originals = [template / "postgres", template / "postgres.password"]
    subprocess.run(["cp", "-a", *originals, directory], check=True)


@contextmanager
def fresh_database(server_url: str, template: str = "template0") -> Iterator[str]:
    """The URL of a new database, empty or like another, dropped afterwards whoever is connected."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        create = SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(create.format(Identifier(name), Identifier(template)))
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
