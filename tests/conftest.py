"""Servers and databases for every test; they start when the first test asks for them."""

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from headrace.embedded import EmbeddedPostgres, EmbeddedValkey
from headrace.ledger.migrate import migrate
from servers import QUICK, fresh_database, postgres_from, postgres_template

# Where the processes of one test run keep their servers. Not below pytest's folder, which only its
# owner may enter: PostgreSQL before 16 cannot live there when root runs the tests.
_SHARED = "HEADRACE_TEST_SERVERS"
_ROOM = 4 << 30  # bytes
_MADE_HERE = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--chaos-long", action="store_true", help="run the chaos gate for minutes, not seconds"
    )
    parser.addoption(
        "--drill-results", type=Path, help="a folder for what each failure drill came to"
    )


def pytest_configure(config: pytest.Config) -> None:
    if _SHARED not in os.environ:
        folder = tempfile.mkdtemp(prefix="headrace-", dir=_fastest_folder())
        os.environ[_SHARED] = config.stash[_MADE_HERE] = folder
        Path(os.environ[_SHARED]).chmod(0o711)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("chaos_long"):
        long = [item for item in items if item.get_closest_marker("chaos_long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def _fastest_folder() -> str | None:
    """Memory, where a copy of a server takes a tenth of the time and kill -9 loses no more."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > _ROOM:
        return str(memory)
    return None


def pytest_unconfigure(config: pytest.Config) -> None:
    if _MADE_HERE in config.stash:
        shutil.rmtree(config.stash[_MADE_HERE])
        del os.environ[_SHARED]


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command that runs in this process sends its logs to a stream that ends with its test."""
    root = logging.getLogger()
    before, level = root.handlers.copy(), root.level
    yield
    for handler in set(root.handlers).difference(before):
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="session")
def shared_directory() -> Path:
    """Folder of this test run, the same for all its processes."""
    return Path(os.environ[_SHARED])


@pytest.fixture
def server_directory(shared_directory: Path) -> Iterator[Path]:
    """Empty folder that every account may enter, gone after the test."""
    directory = shared_directory / uuid4().hex
    directory.mkdir(mode=0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgres_url(shared_directory: Path) -> Iterator[str]:
    """The server of this test process, or the one that HEADRACE_TEST_DATABASE_URL names."""
    if url := os.environ.get("HEADRACE_TEST_DATABASE_URL"):
        yield url
        return
    template = postgres_template(shared_directory)
    with postgres_from(template, shared_directory / uuid4().hex, QUICK) as server:
        yield server.url


@pytest.fixture(scope="session")
def redis_url(shared_directory: Path) -> Iterator[str]:
    """The server of this test process, or the one that HEADRACE_TEST_REDIS_URL names."""
    if url := os.environ.get("HEADRACE_TEST_REDIS_URL"):
        yield url
        return
    with EmbeddedValkey(shared_directory / uuid4().hex / "valkey") as server:
        yield server.url


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """A fresh, empty database."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str) -> Iterator[str]:
    """The name of a database with the schema, to be copied: a third of the time of migrating."""
    with fresh_database(postgres_url) as url:
        asyncio.run(migrate(url))
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture
def migrated_url(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """A fresh database with the schema, and with an identity of its own, though it is a copy."""
    with fresh_database(postgres_url, migrated_template) as url:
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE headrace.lane SET ledger = gen_random_uuid()")
        yield url


@pytest.fixture
def postgres(shared_directory: Path, server_directory: Path) -> Iterator[EmbeddedPostgres]:
    """A running server of the test's own, durable as in production, to be killed at will."""
    template = postgres_template(shared_directory)
    with postgres_from(template, server_directory / "own") as server:
        yield server


@pytest.fixture
def valkey(server_directory: Path) -> Iterator[EmbeddedValkey]:
    """A running server of the test's own, to be killed at will."""
    with EmbeddedValkey(server_directory / "own" / "valkey") as server:
        yield server
