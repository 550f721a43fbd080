"""Servers live exactly as long as the process that started them."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import redis

from headrace.embedded import EmbeddedPostgres, EmbeddedValkey, Stack
from headrace.embedded.directory import DataDirectory
from headrace.errors import BinariesMissing
from servers import copy_postgres, postgres_template

pytestmark = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="only Linux tells of the end of a process not its child"
)

OWNER = """
import sys
from pathlib import Path
from headrace.embedded import Stack, process
process._KERNEL_TELLS = sys.argv[2] == "kernel"
stack = Stack(Path(sys.argv[1]))
stack.start()
print(stack.postgres.pid, stack.valkey.pid, stack.database_url, stack.redis_url, flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["kernel", "watchman"])
def owner(
    shared_directory: Path, server_directory: Path, request: pytest.FixtureRequest
) -> Iterator[subprocess.Popen[str]]:
    """A process with both servers, that is told of its end as here, and as on macOS."""
    copy_postgres(postgres_template(shared_directory), server_directory)
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, server_directory, request.param],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()
    for name in ("postgres", "valkey"):
        DataDirectory(server_directory / name).wait_until_free()


def told_by(owner: subprocess.Popen[str]) -> tuple[int, int, str, str]:
    assert owner.stdout is not None
    postgres_pid, valkey_pid, database_url, redis_url = owner.stdout.readline().split()
    return int(postgres_pid), int(valkey_pid), database_url, redis_url


def session_of(leader: int) -> Iterator[int]:
    """The processes that the server's process began with, and those that they left behind."""
    for folder in Path("/proc").iterdir():
        with suppress(ProcessLookupError):
            if folder.name.isdigit() and os.getsid(int(folder.name)) == leader:
                yield int(folder.name)


def wait_for_end(*pids: int) -> None:
    for descriptor in map(os.pidfd_open, pids):
        ended, _, _ = select.select([descriptor], [], [], 10)
        os.close(descriptor)
        assert ended, "a server outlived its owner"


def test_servers_end_when_their_owner_is_killed(owner: subprocess.Popen[str]) -> None:
    postgres_pid, valkey_pid, _, _ = told_by(owner)
    owner.send_signal(signal.SIGKILL)
    wait_for_end(postgres_pid, valkey_pid)


def test_nobody_watches_a_server_that_was_stopped(
    server_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.embedded.process._KERNEL_TELLS", False)
    with EmbeddedValkey(server_directory / "valkey") as server:
        assert server.pid is not None
        (watchman,) = set(session_of(server.pid)) - {server.pid}
        descriptor = os.pidfd_open(watchman)
    assert select.select([descriptor], [], [], 10)[0], "a watchman outlived its server"
    os.close(descriptor)


def test_rows_are_there_for_whoever_starts_next(
    owner: subprocess.Popen[str], server_directory: Path
) -> None:
    _, _, database_url, redis_url = told_by(owner)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    with redis.Redis.from_url(redis_url) as client:
        client.set("kept", 7)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    # At once: the start itself waits until the old servers are gone.
    with Stack(server_directory) as stack:
        with psycopg.connect(stack.database_url) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
        with redis.Redis.from_url(stack.redis_url) as client:
            assert client.get("kept") == b"7"


def test_everything_killed_at_once_starts_again(
    owner: subprocess.Popen[str], server_directory: Path
) -> None:
    postgres_pid, valkey_pid, database_url, _ = told_by(owner)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    for pid in (owner.pid, postgres_pid, valkey_pid):
        os.kill(pid, signal.SIGKILL)
    owner.wait()
    with Stack(server_directory) as stack, psycopg.connect(stack.database_url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_uncollected_server_does_not_block_the_next(postgres: EmbeddedPostgres) -> None:
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)  # and nobody waits for it: its number stays in use
    DataDirectory(postgres.data_dir).wait_until_free()
    with EmbeddedPostgres(postgres.data_dir) as heir:
        psycopg.connect(heir.url).close()


def test_server_outlives_the_thread_that_started_it(server_directory: Path) -> None:
    server = EmbeddedValkey(server_directory / "valkey")
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
        assert server.pid is not None
    finally:
        server.stop()


def test_stop_ends_every_process_of_the_server(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        backend = connection.info.backend_pid
        postgres.stop()
        with pytest.raises(ProcessLookupError):
            os.kill(backend, 0)


def test_stack_starts_both_or_neither(
    shared_directory: Path, server_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_postgres(postgres_template(shared_directory), server_directory)
    monkeypatch.setenv("HEADRACE_VALKEY_SERVER", str(server_directory / "none"))
    stack = Stack(server_directory)
    with pytest.raises(BinariesMissing):
        stack.start()
    assert stack.postgres.pid is None


def test_stack_keeps_itself_out_of_git(
    owner: subprocess.Popen[str], server_directory: Path
) -> None:
    told_by(owner)
    assert (server_directory / ".gitignore").read_text() == "*\n"
